//! Tells the inboxes what a lane committed, in the order in which it did.

use proto::{
    chat::Message,
    inbox::{MessagesPosted, inbox_event::Event},
};
use service_kit::bus::Bus;
use tokio::sync::mpsc::Receiver;
use tracing::{Instrument, Span, info_span};

use crate::{inbox::Inbox, members::Pair};

/// Batches that may wait to be told. While NATS is away nothing comes in either.
pub(super) const CAPACITY: usize = 64;

/// Messages of one match that one COMMIT stored.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) members: Pair,
    pub(super) messages: Vec<Message>,
    pub(super) span: Span,
}

/// Publishes until the lane has ended, and makes sure that the last event has left.
pub(super) async fn run(mut batches: Receiver<Vec<Run>>, inbox: Inbox, bus: Bus) {
    while let Some(runs) = batches.recv().await {
        for Run { members, messages, span } in runs {
            let told = info_span!(parent: &span, "publish", messages = messages.len(), otel.kind = "producer");
            let event = Event::MessagesPosted(MessagesPosted { messages });
            // A failure is counted there; the gateways see the gap and read what they missed.
            let _ = inbox.publish(&members, event).instrument(told).await;
        }
    }
    let _ = bus.flush().await;
}
