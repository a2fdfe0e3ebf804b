//! Outputs for sockets and inboxes, carried out at once.

use std::sync::Arc;

use futures_util::FutureExt;
use gateway_core::{
    Output, SocketId,
    output::{Event, Json, Patience},
};
use prost::{Message as _, bytes::Bytes};
use proto::{UserId, inbox::SoftEvent};
use service_kit::bus::{Bus, BusError};
use tokio::task::unconstrained;
use tracing::warn;

use super::{
    context::Context,
    users::{Socket, State},
};
use crate::{metrics, socketio::Packet};

/// What is emitted to one socket, to go in one write.
#[derive(Debug, Default)]
pub(super) struct Emission {
    to: Option<SocketId>,
    packets: Vec<Packet>,
    is_cut: bool,
}

impl Emission {
    /// Takes an output for a socket. Gives any other back, after what was taken before is on its way.
    pub(super) fn take<T>(&mut self, sockets: &[Arc<Socket>], output: Output<T>) -> Option<Output<T>> {
        match output {
            Output::Emit(id, event) => self.add(sockets, id, packet(&event)),
            Output::Ack(id, ack, json) => self.add(sockets, id, Packet::ack(ack, &json)),
            Output::Rejected(code) => metrics::rejected(code),
            other => {
                self.flush(sockets);
                match other {
                    Output::PauseReads(id) => find(sockets, id).into_iter().for_each(|s| s.emitter.pause_reads()),
                    Output::Prove(id) => find(sockets, id).into_iter().for_each(|s| s.emitter.prove()),
                    Output::Close(id) => find(sockets, id).into_iter().for_each(|s| s.emitter.disconnect_transport()),
                    other => return Some(other),
                }
            }
        }
        None
    }

    fn add(&mut self, sockets: &[Arc<Socket>], id: SocketId, packet: Packet) {
        if self.to != Some(id) {
            self.flush(sockets);
            self.to = Some(id);
        }
        self.packets.push(packet);
    }

    /// Sends what was taken. False if something was for a socket that is closed.
    pub(super) fn flush(&mut self, sockets: &[Arc<Socket>]) -> bool {
        if let Some(id) = self.to.take() {
            // A socket that is gone, or closed for reading too slowly, fetches what it missed when it joins again.
            let is_sent =
                find(sockets, id).is_some_and(|socket| socket.emitter.send_all(self.packets.drain(..)).is_ok());
            self.is_cut |= !is_sent;
            self.packets.clear();
        }
        !self.is_cut
    }
}

/// The socket with this number, if it is here.
pub(super) fn find(sockets: &[Arc<Socket>], id: SocketId) -> Option<&Arc<Socket>> {
    sockets.iter().find(|socket| socket.id == id)
}

/// An event whose last argument, if it has a cursor, is that.
fn packet(event: &Event) -> Packet {
    if let Json::Message(posted) = &event.json {
        metrics::delivered(posted.message.created_at_ms);
    }
    if event.cursor.is_empty() {
        return Packet::event(event.name, event.json());
    }
    Packet::recoverable(event.name, event.json(), &event.cursor)
}

/// Publishes to inboxes what gateways tell, with as much patience as it is worth.
pub(super) fn publish(
    context: &Context,
    state: &mut State,
    (to, event): (Arc<[UserId]>, SoftEvent),
    patience: Patience,
) {
    let (bus, payload) = (context.services.bus.clone(), Bytes::from(event.encode_to_vec()));
    match patience {
        Patience::Bounded => {
            let mut told = Box::pin(tell_all(bus, to, payload));
            if told.as_mut().now_or_never().is_none() {
                context.lifecycle.spawn(told);
            }
        }
        Patience::None(first) => {
            let tell = |user| unconstrained(tell(&bus, user, &payload)).now_or_never();
            let told = to.iter().filter(|user| tell(user).is_some_and(|told| told.is_ok())).count();
            if let Some((id, chat)) = first.filter(|_| told == 0) {
                state.core.typing_was_not_told(id, &chat);
            }
        }
    }
}

async fn tell_all(bus: Bus, to: Arc<[UserId]>, payload: Bytes) {
    for user in &*to {
        if let Err(error) = tell(&bus, user, &payload).await {
            warn!(%error, "an inbox was not told");
        }
    }
}

async fn tell(bus: &Bus, user: &UserId, payload: &Bytes) -> Result<(), BusError> {
    bus.publish_encoded(&bus.subjects().soft_inbox(user), payload.clone()).await
}
