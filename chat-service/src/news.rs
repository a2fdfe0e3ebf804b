//! What the members of a match hear of its messages and changes: in one order, and in events that NATS can carry. Pure.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::{
    MatchId,
    chat::{Change, Message, change::Kind},
    inbox::{MatchChanged, MatchClosed, MessagesPosted, MilestoneReached, chat_event::Event},
};

use crate::{audience::Audience, leftovers::MilestoneName, succession::Succession};

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
    /// Whom it concerns.
    pub audience: Audience,
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

/// The entries as those whom they concern hear them: each once, match by match, each match's in the order of `seq` and
/// `rev`. Messages that follow each other without a gap share an event.
pub fn news(mut entries: Vec<Entry>, members: &BTreeMap<MatchId, Succession>) -> Vec<News> {
    entries.sort_by(|a, b| a.place().cmp(&b.place()));
    entries.dedup_by(|a, b| a.place() == b.place());
    let (mut news, mut run) = (Vec::new(), Run::default());
    for entry in entries {
        match entry {
            Entry::Message(message) => {
                if !run.takes(&message, members) {
                    news.extend(run.end(members));
                }
                run.push(message);
            }
            Entry::Change(logged) => {
                news.extend(run.end(members));
                news.extend(of_change(logged, members));
            }
        }
    }
    news.extend(run.end(members));
    news
}

/// Messages of one match, ascending, without gaps, and of a size that NATS takes.
#[derive(Default)]
struct Run {
    messages: Vec<Message>,
    bytes: usize,
}

impl Run {
    /// Whether the message follows, fits, and is seen by the same members as what is there.
    fn takes(&self, message: &Message, members: &BTreeMap<MatchId, Succession>) -> bool {
        let follows = |last: &Message| message.match_id == last.match_id && message.seq == last.seq + 1;
        self.messages.last().is_some_and(follows)
            && self.bytes + message.encoded_len() <= MAX_EVENT_BYTES
            && members.get(message.match_id.as_str()).is_none_or(|members| {
                members.of_message(message.seq).tenures().all(|(_, of)| of.from_seq != message.seq - 1)
            })
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.encoded_len();
        self.messages.push(message);
    }

    /// A change of the members ends it, too: all of it concerns the same.
    fn end(&mut self, members: &BTreeMap<MatchId, Succession>) -> Option<News> {
        let Self { messages, .. } = std::mem::take(self);
        let first = messages.first()?;
        let (match_id, members) = members.get_key_value(first.match_id.as_str())?;
        let audience = members.of_message(first.seq).split(|of| of.sees_message(first.seq)).0;
        let event = Event::MessagesPosted(MessagesPosted { messages });
        Some(News { match_id: match_id.clone(), audience, event })
    }
}

/// Who has hidden the message of a change, or does not see it as it was there before, hears of a change without a kind:
/// of its rev.
fn of_change(Logged { match_id, change }: Logged, members: &BTreeMap<MatchId, Succession>) -> Vec<News> {
    let Some(members) = members.get(&match_id) else { return Vec::new() };
    let (audience, newer) = members.of_change(&change).split(|of| of.sees_change(&change));
    let hiding = members.blind_to(&change).into_iter().filter(|user| audience.has(user));
    let blind: Vec<_> = newer.members().iter().cloned().chain(hiding).collect();
    if blind.is_empty() {
        return event_of(&match_id, change).map(|event| News { match_id, audience, event }).into_iter().collect();
    }
    let bare = event_of_rev(&match_id, &change);
    let seeing = audience.without(&blind.iter().map(ToString::to_string).collect::<Vec<_>>());
    let blind = Audience::new(blind, audience.version());
    let seen = event_of(&match_id, change).map(|event| (seeing, event));
    let told = seen.into_iter().chain([(blind, bare)]);
    told.map(|(audience, event)| News { match_id: match_id.clone(), audience, event }).collect()
}

fn event_of_rev(match_id: &MatchId, change: &Change) -> Event {
    let change = Some(Change { kind: None, ..*change });
    Event::MatchChanged(MatchChanged { match_id: match_id.to_string(), change })
}

fn event_of(match_id: &MatchId, change: Change) -> Option<Event> {
    let (match_id, rev, after_seq) = (match_id.to_string(), change.rev, change.after_seq);
    Some(match change.kind.as_ref()? {
        Kind::Milestone(reached) => {
            Event::MilestoneReached(MilestoneReached { match_id, milestone: Some(reached.clone()) })
        }
        Kind::Closing(_) => Event::MatchClosed(MatchClosed { match_id, rev, after_seq }),
        Kind::Membership(_) | Kind::Edited(_) | Kind::Deleted(_) | Kind::Reacted(_) => {
            Event::MatchChanged(MatchChanged { match_id, change: Some(change) })
        }
    })
}

#[cfg(test)]
mod tests;
