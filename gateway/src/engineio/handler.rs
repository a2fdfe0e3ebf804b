//! What is done with sessions: the trait of the layer above.

use super::{CloseReason, Handle};
use bytes::Bytes;
use std::{future::Future, pin::Pin};

/// What is done with sessions. The methods run on the session's own task, one after the other, and must not block.
pub trait Handler: Send + Sync + 'static {
    /// The state of one session.
    type Session: Send + Unpin + 'static;
    /// What a wait ends in.
    type Outcome: Send + 'static;

    /// A session was opened; what is sent here follows the open packet.
    fn open(&self, handle: &Handle) -> Self::Session;

    /// A message arrived.
    fn message(&self, session: &mut Self::Session, message: Message<'_>) -> Control<Self::Outcome>;

    /// A wait that [`message`](Self::message) or this method asked for is over.
    fn resume(&self, session: &mut Self::Session, outcome: Self::Outcome) -> Control<Self::Outcome>;

    /// The client has all that was sent before it was last asked to prove that.
    fn proved(&self, session: &mut Self::Session) {
        let _ = session;
    }

    /// The session is over; its handle is closed already.
    fn closed(&self, session: Self::Session, reason: CloseReason);
}

/// What a client sent.
#[derive(Debug)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(Bytes),
}

/// How to go on after a message.
pub enum Control<O> {
    /// With the next one.
    Continue,
    /// Not at all: close the session.
    Close(CloseReason),
    /// After this future; the client's further messages wait. It is dropped if the session closes meanwhile.
    Wait(Pin<Box<dyn Future<Output = O> + Send>>),
}
