//! What the members of a match hear of its messages and changes: in one order, and in events that NATS can carry. Pure.

use prost::Message as _;
use proto::{
    MatchId,
    chat::{Change, Message, change::Kind},
    inbox::{MatchClosed, MessagesPosted, MilestoneReached, chat_event::Event},
};

use crate::leftovers::MilestoneName;

/// An inbox event must fit a NATS message (1 MB by default) with room to spare.
const MAX_EVENT_BYTES: usize = 512 * 1024;

/// Something that stands in a match.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A message, at its `seq`.
    Message(Message),
    /// A change, at its `rev`.
    Change(Logged),
}

/// A change in the log of its match.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The match.
    pub match_id: MatchId,
    /// The change.
    pub change: Change,
}

/// An event for the inboxes of a match's members.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The match.
    pub match_id: MatchId,
    /// What they hear.
    pub event: Event,
}

impl News {
    /// The milestone that it tells of: it has to be noted that somebody was told.
    pub fn milestone(&self) -> Option<MilestoneName> {
        let Event::MilestoneReached(reached) = &self.event else { return None };
        let milestone = reached.milestone.as_ref()?;
        Some((self.match_id.clone(), milestone.milestone_id.clone()))
    }
}

impl Entry {
    /// Where it stands among everything that was committed together: a change comes behind the message that was the
    /// match's head when it was made, and behind the changes before it.
    fn place(&self) -> (&str, i64, i64) {
        match self {
            Self::Message(message) => (&message.match_id, message.seq, 0),
            Self::Change(Logged { match_id, change }) => (match_id.as_str(), change.after_seq, change.rev),
        }
    }
}

/// The entries as their members hear them: each once, match by match, each match's in the order of `seq` and `rev`.
/// Messages that follow each other without a gap share an event.
pub fn news(mut entries: Vec<Entry>) -> Vec<News> {
    entries.sort_by(|a, b| a.place().cmp(&b.place()));
    entries.dedup_by(|a, b| a.place() == b.place());
    let (mut news, mut run) = (Vec::new(), Run::default());
    for entry in entries {
        match entry {
            Entry::Message(message) => {
                if !run.takes(&message) {
                    news.extend(run.end());
                }
                run.push(message);
            }
            Entry::Change(logged) => {
                news.extend(run.end());
                news.extend(of_change(logged));
            }
        }
    }
    news.extend(run.end());
    news
}

/// Messages of one match, ascending, without gaps, and of a size that NATS takes.
#[derive(Default)]
struct Run {
    messages: Vec<Message>,
    bytes: usize,
}

impl Run {
    fn takes(&self, message: &Message) -> bool {
        let follows = |last: &Message| message.match_id == last.match_id && message.seq == last.seq + 1;
        self.messages.last().is_some_and(follows) && self.bytes + message.encoded_len() <= MAX_EVENT_BYTES
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.encoded_len();
        self.messages.push(message);
    }

    fn end(&mut self) -> Option<News> {
        let Self { messages, .. } = std::mem::take(self);
        let match_id = MatchId::new(messages.first()?.match_id.as_str()).ok()?;
        Some(News { match_id, event: Event::MessagesPosted(MessagesPosted { messages }) })
    }
}

fn of_change(Logged { match_id, change }: Logged) -> Option<News> {
    let Change { rev, after_seq, kind, .. } = change;
    let id = match_id.as_str().to_owned();
    let event = match kind? {
        Kind::Milestone(milestone) => {
            Event::MilestoneReached(MilestoneReached { match_id: id, milestone: Some(milestone) })
        }
        Kind::Closing(_) => Event::MatchClosed(MatchClosed { match_id: id, rev, after_seq }),
    };
    Some(News { match_id, event })
}

#[cfg(test)]
mod tests;
