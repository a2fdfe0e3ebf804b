//! How a conversation opens its chat, and reads the pages that it has missed.

use std::time::Duration;

use promises::{Event, Known, end_of_page, page};

use super::{Awaited, Conversation, End, Join, seq};
use crate::{
    message::{self, JoinAck},
    stats::lock,
};

/// How long the ack of `join_chat` may take.
pub(super) const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a refused join is repeated, unless the server names one.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

impl Conversation {
    pub(super) fn ask_to_join(&mut self, since: Option<u64>, now: Duration) {
        let known = lock(&self.chat).known();
        let ack_id = self.await_ack(Awaited::Join { known });
        self.frames.push_back(message::join_chat(ack_id, &self.pair.match_id, since));
        self.join = Join::Asked { since, deadline: now + JOIN_LIMIT };
    }

    pub(super) fn join_acked(&mut self, ack: &JoinAck<'_>, known: Known, now: Duration) -> Result<(), End> {
        let Join::Asked { since, .. } = self.join else { return Ok(()) };
        if let Some(refusal) = &ack.error {
            self.count_refusal(refusal);
            if !refusal.retryable {
                return Err(End::Refused);
            }
            self.join = Join::Paused { since, until: now + refusal.pause().unwrap_or(JOIN_PAUSE) };
            return Ok(());
        }
        if !self.joined_before {
            self.joined_before = true;
            self.run.stats.counters.joined_users.count();
        }
        self.note_join(ack, since, known, now);
        let (delivered, next) = self.inbox.page(ack.page(&self.run.name, &self.pair));
        for incoming in delivered.iter().filter(|incoming| incoming.from_other(self.side).is_some()) {
            self.run.stats.counters.received_caught_up.count();
            self.measure_receipt(incoming, now);
        }
        match next {
            Some(since) => self.ask_to_join(Some(since), now),
            None => self.join = Join::Joined,
        }
        Ok(())
    }

    /// The first join of a connection is where that begins for the checker. So a user that never comes back has missed
    /// what followed.
    fn note_join(&mut self, ack: &JoinAck<'_>, since: Option<u64>, known: Known, now: Duration) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.note(now, Event::Connected { recovered: false });
        }
        self.note(now, Event::Joined { last_seq: seq(ack.last_seq), known, told: 0 });
        // A first join asks for nothing older.
        let Some(since) = since.map(seq) else { return };
        let messages = ack.page(&self.run.name, &self.pair).messages;
        let messages = messages.iter().map(|message| (seq(message.seq), message.tag()));
        let last = page(since, messages, |event| self.note(now, event));
        if let Some(broken) = end_of_page(since, last, seq(ack.last_seq), ack.has_more) {
            self.note(now, broken);
        }
    }
}
