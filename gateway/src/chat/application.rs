//! The chat application on the sockets: what the protocol calls.

use std::sync::Arc;

use gateway_core::ClientEvent;

use super::{connecting, context::Context, shell, users::Socket};
use crate::socketio::{Accept, Application, CloseReason, Connect, Event, Refuse};

/// The chat application, to be served by [`crate::socketio::Server`].
#[derive(Debug, Clone)]
pub struct Chat(pub Arc<Context>);

impl Application for Chat {
    type Socket = Socket;

    /// No command takes binary data.
    const TAKES_ATTACHMENTS: bool = false;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        connecting::connect(&self.0, request).await
    }

    fn connected(&self, socket: &Arc<Socket>) {
        connecting::connected(&self.0, socket);
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        let mut arguments = event.args.iter();
        let event = ClientEvent {
            name: event.name,
            arguments: [arguments.next(), arguments.next()],
            ack: event.ack,
            is_invalid: event.is_invalid() || event.announced > 0,
        };
        shell::step_on(Some(socket.id), &self.0, socket.user(), |user, step| {
            user.client_event(socket.id, &event, step);
        });
    }

    fn proved(&self, socket: &Arc<Socket>) {
        shell::step(&self.0, socket.user(), |user, step| user.proved(socket.id, step));
    }

    fn disconnected(&self, socket: &Arc<Socket>, reason: CloseReason) {
        connecting::disconnected(&self.0, socket, reason);
    }
}
