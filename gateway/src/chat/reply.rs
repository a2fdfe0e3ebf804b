//! How a command is answered: by its ack, or, when it asked for none, a failure by an event.

use proto::client::{both, command, event};

use crate::{
    failure::Failure,
    socketio::{Emitter, Packet},
};

/// The answer that a command waits for. It is given exactly once.
#[derive(Debug)]
pub(crate) struct Reply {
    emitter: Emitter,
    ack: Option<u64>,
    /// The event that tells of a failure when there is no ack; some commands fail in silence.
    failure_event: Option<&'static str>,
}

impl Reply {
    /// The reply to the command `name`.
    pub(crate) fn new(emitter: &Emitter, name: &str, ack: Option<u64>) -> Self {
        Self { emitter: emitter.clone(), ack, failure_event: failure_event(name) }
    }

    /// Acks with `json`, the whole argument.
    pub(crate) fn ok(self, json: &str) {
        self.ok_and(json, &[]);
    }

    /// Acks with `json` and emits `packets` after it, in the same write.
    pub(crate) fn ok_and(self, json: &str, packets: &[Packet]) {
        let ack = self.ack.map(|id| self.emitter.ack_packet(id, json));
        let all: Vec<Packet> = ack.into_iter().chain(packets.iter().cloned()).collect();
        self.send(&all);
    }

    /// Refuses what is more than all of the system can take, and reads nothing more from the client for a moment: its next refusals,
    /// if it goes on, cost less together.
    pub(crate) fn push_back(self, failure: &Failure) {
        self.emitter.pause_reads();
        self.fail(failure);
    }

    /// Refuses what is part of a flood, also where a refusal is silent otherwise, and closes the transport.
    pub(crate) fn cut_off(mut self, failure: &Failure) {
        self.failure_event.get_or_insert(event::MESSAGE_ERROR);
        let emitter = self.emitter.clone();
        self.fail(failure);
        emitter.disconnect_transport();
    }

    /// Answers with a failure.
    pub(crate) fn fail(self, failure: &Failure) {
        crate::metrics::rejected(failure.code);
        let packet = match (self.ack, self.failure_event) {
            (Some(id), _) => self.emitter.ack_packet(id, &failure.ack_json()),
            (None, Some(event)) => Packet::event(event, &failure.event_json()),
            (None, None) => return,
        };
        self.send(&[packet]);
    }

    fn send(&self, packets: &[Packet]) {
        // A socket that is gone needs no answer: its client asks again.
        let _ = self.emitter.send_all(packets);
    }
}

fn failure_event(name: &str) -> Option<&'static str> {
    match name {
        command::SEND_MESSAGE => Some(event::MESSAGE_ERROR),
        command::JOIN_CHAT => Some(event::CHAT_JOIN_ERROR),
        command::VIDEO_CALL_REQUEST
        | command::VIDEO_CALL_SIGNAL
        | both::VIDEO_CALL_ACCEPTED
        | both::VIDEO_CALL_REJECTED
        | both::VIDEO_CALL_ENDED => Some(event::CALL_ERROR),
        _ => None,
    }
}
