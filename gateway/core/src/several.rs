//! A `mark_delivered` of several chats, of which each outcome is awaited.

use std::sync::{Arc, Mutex, PoisonError};

use proto::{MatchId, chat::Position};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::SocketId,
    reply::Reply,
    step::{Limits, Step},
    views,
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    match_id: String,
    read_seq: i64,
    delivered_seq: i64,
    unread: i64,
}

/// A command of which the outcome of each chat is awaited. Its last one answers.
#[derive(Debug, Clone)]
pub(crate) struct Several(Arc<Mutex<Command>>);

#[derive(Debug)]
struct Command {
    socket: SocketId,
    reply: Reply,
    left: usize,
    delivered: Vec<Place>,
    /// The refusal that makes the whole worth another try.
    retry: Option<Failure>,
}

impl Several {
    /// A command that awaits so many outcomes, of which there is at least one.
    pub(crate) fn new(socket: SocketId, reply: Reply, count: usize) -> Self {
        let delivered = Vec::with_capacity(count);
        Self(Arc::new(Mutex::new(Command { socket, reply, left: count, delivered, retry: None })))
    }

    /// A chat's outcome. Chats that the user has not are left out of the answer.
    pub(crate) fn end<L: Limits>(&self, chat: &MatchId, marked: &Result<Position, Failure>, step: &mut Step<'_, L>) {
        let mut command = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match marked {
            Ok(position) => {
                let &Position { read_seq, delivered_seq, unread, .. } = position;
                command.delivered.push(Place { match_id: chat.to_string(), read_seq, delivered_seq, unread });
            }
            Err(failure) if failure.code.is_retryable() => command.retry = Some(failure.clone()),
            Err(_) => {}
        }
        command.left -= 1;
        if command.left > 0 {
            return;
        }
        match &command.retry {
            Some(failure) => step.fail(command.socket, &command.reply, failure),
            None => step.ok(command.socket, &command.reply, ack(&command.delivered)),
        }
    }

    /// The answer to a command of no chats.
    pub(crate) fn nothing() -> String {
        ack(&[])
    }
}

/// `{ok, chats: [{matchId, readSeq, deliveredSeq, unread}]}`.
fn ack(chats: &[Place]) -> String {
    views::to_json(&serde_json::json!({ "ok": true, "chats": chats }))
}
