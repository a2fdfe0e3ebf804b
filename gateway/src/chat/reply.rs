//! How a command is answered: by its ack, or, when it asked for none, a failure by an event.

use proto::{
    Code,
    client::{both, command, event},
};

use crate::{
    failure::{Failure, Names},
    socketio::{Emitter, Event, Packet},
};

/// The answer that a command waits for. It is given exactly once: a reply that is dropped, as its command's work has panicked,
/// answers with `INTERNAL`.
#[derive(Debug)]
pub(crate) struct Reply {
    emitter: Emitter,
    to: To,
}

/// Who is answered.
#[derive(Debug)]
enum To {
    /// The callback with this id.
    Callback(u64),
    /// Nobody of a success; an event tells of a failure, and what the command named.
    Event(&'static str, Names),
    /// Nobody, or nobody any more.
    Nobody,
}

impl Reply {
    /// The reply to a command.
    pub(crate) fn new(emitter: &Emitter, event: &Event<'_>) -> Self {
        let to = match (event.ack, failure_event(event.name)) {
            (Some(id), _) => To::Callback(id),
            (None, Some(told_by)) => To::Event(told_by, Names::of(event.args.get(0))),
            (None, None) => To::Nobody,
        };
        Self { emitter: emitter.clone(), to }
    }

    /// The reply to a command of the gateway's own, which nobody hears.
    pub(crate) fn unheard(emitter: &Emitter) -> Self {
        Self { emitter: emitter.clone(), to: To::Nobody }
    }

    /// Acks with `json`, the whole argument.
    pub(crate) fn ok(self, json: &str) {
        self.ok_and(json, &[]);
    }

    /// Acks with `json` and emits `packets` after it, in the same write.
    pub(crate) fn ok_and(mut self, json: &str, packets: &[Packet]) {
        let ack = match std::mem::replace(&mut self.to, To::Nobody) {
            To::Callback(id) => Some(self.emitter.ack_packet(id, json)),
            To::Event(..) | To::Nobody => None,
        };
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
        if matches!(self.to, To::Nobody) {
            self.to = To::Event(event::MESSAGE_ERROR, Names::default());
        }
        let emitter = self.emitter.clone();
        self.fail(failure);
        emitter.disconnect_transport();
    }

    /// Answers with a failure.
    pub(crate) fn fail(mut self, failure: &Failure) {
        crate::metrics::rejected(failure.code);
        self.tell(failure);
    }

    fn tell(&mut self, failure: &Failure) {
        let packet = match std::mem::replace(&mut self.to, To::Nobody) {
            To::Callback(id) => self.emitter.ack_packet(id, &failure.ack_json()),
            To::Event(event, names) => Packet::event(event, &failure.event_json(&names)),
            To::Nobody => return,
        };
        self.send(&[packet]);
    }

    fn send(&self, packets: &[Packet]) {
        // A socket that is gone needs no answer: its client asks again.
        let _ = self.emitter.send_all(packets);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !matches!(self.to, To::Nobody) && !self.emitter.is_closed() {
            crate::metrics::rejected(Code::Internal);
            self.tell(&Code::Internal.into());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::order::contained, socketio::Args};

    fn command(name: &str, ack: Option<u64>) -> Event<'_> {
        let args = Args::from_raw(r#"{"matchId":"m1","clientId":"c1"}"#);
        Event { name, args, attachments: Vec::new(), announced: 0, ack, too_deep: false, invalid_text: false }
    }

    /// How many packets wait, and their bytes.
    fn queued(emitter: &Emitter) -> (usize, usize) {
        (emitter.queued_packets(), emitter.queued_bytes())
    }

    fn queued_after(packets: &[Packet]) -> (usize, usize) {
        let emitter = Emitter::of_nobody();
        emitter.send_all(packets).unwrap();
        queued(&emitter)
    }

    #[tokio::test]
    async fn a_command_whose_work_panics_is_answered_once_and_the_turn_goes_on() {
        let emitter = Emitter::of_nobody();
        let reply = Reply::new(&emitter, &command(command::SEND_MESSAGE, Some(7)));
        contained(async move {
            let _held = reply;
            panic!("a defect");
        })
        .await;
        let told = emitter.ack_packet(7, &Failure::from(Code::Internal).ack_json());
        assert_eq!(queued(&emitter), queued_after(&[told]));
    }

    #[test]
    fn a_command_without_a_callback_is_told_what_it_named() {
        let emitter = Emitter::of_nobody();
        drop(Reply::new(&emitter, &command(command::SEND_MESSAGE, None)));
        let names = Names::of(command("", None).args.get(0));
        let told = Packet::event(event::MESSAGE_ERROR, &Failure::from(Code::Internal).event_json(&names));
        assert_eq!(queued(&emitter), queued_after(&[told]));
    }

    #[test]
    fn an_answer_is_given_once() {
        let emitter = Emitter::of_nobody();
        Reply::new(&emitter, &command(command::SEND_MESSAGE, Some(1))).ok("1");
        Reply::new(&emitter, &command(command::SEND_MESSAGE, Some(2))).fail(&Failure::invalid());
        Reply::new(&emitter, &command(command::SEND_MESSAGE, None)).ok("1");
        drop(Reply::new(&emitter, &command(command::TYPING, None)));
        let told = [emitter.ack_packet(1, "1"), emitter.ack_packet(2, &Failure::invalid().ack_json())];
        assert_eq!(queued(&emitter), queued_after(&told));
    }
}
