//! How a conversation opens its chat, and reads the pages that it has missed.

use std::time::Duration;

use promises::{Event, Known, end_of_page, page};

use super::{Awaited, Conversation, End, Join};
use crate::{
    inbox::Incoming,
    message::{self, Ack, Received},
    stats::lock,
};

/// How long the ack of `join_chat` may take.
pub(super) const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a refused join is repeated, unless the server names one.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

impl Conversation {
    pub(super) fn ask_to_join(&mut self, since: Option<u32>, now: Duration) {
        let known = lock(&self.chat).known();
        let ack_id = self.await_ack(Awaited::Join { known });
        self.frames.push_back(message::join_chat(ack_id, &self.pair.match_id, since));
        self.join = Join::Asked { since, deadline: now + JOIN_LIMIT };
    }

    pub(super) fn join_acked(&mut self, ack: &Ack<Received<'_>>, known: Known, now: Duration) -> Result<(), End> {
        let Join::Asked { since, .. } = self.join else { return Ok(()) };
        if let Some(refusal) = &ack.error {
            self.count_refusal(refusal);
            if !refusal.retryable {
                return Err(End::Refused);
            }
            self.join = Join::Paused { since, until: now + refusal.pause().unwrap_or(JOIN_PAUSE) };
            return Ok(());
        }
        if !std::mem::replace(&mut self.joined_before, true) {
            self.run.stats.counters.joined_users.count();
        }
        // The first join of a connection is where that begins for the checker. So a user that never comes back has
        // missed what followed.
        if !std::mem::replace(&mut self.has_begun, true) {
            self.note(now, Event::Connected { recovered: false });
        }
        let messages: Vec<_> =
            ack.messages.iter().map(|message| message.incoming(&self.run.name, &self.pair)).collect();
        self.note(now, Event::Joined { last_seq: ack.last_seq, known, told: 0 });
        // A first join asks for nothing older.
        if let Some(since) = since {
            self.note_page(since, &messages, ack, now);
        }
        let (delivered, next) = self.inbox.page(&messages, ack.last_seq, ack.has_more);
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

    fn note_page(&self, since: u32, messages: &[Incoming], ack: &Ack<Received<'_>>, now: Duration) {
        let messages = messages.iter().map(|message| (message.seq, message.tag()));
        let last = page(since, messages, |event| self.note(now, event));
        if let Some(broken) = end_of_page(since, last, ack.last_seq, ack.has_more) {
            self.note(now, broken);
        }
    }
}
