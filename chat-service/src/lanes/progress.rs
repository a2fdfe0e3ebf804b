//! How far matches have come, for whoever counts their messages. Pure.

use proto::{MatchId, inbox::chat_event::Event};

use crate::news::{Entry, News};

/// A match has at least so many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The match.
    pub match_id: MatchId,
    /// The seq of its newest message, as far as is known here.
    pub last_seq: i64,
    /// The database's time of the message, if this replica has stored it. Whoever stored it otherwise may have died
    /// before it could tell.
    pub committed_ms: Option<i64>,
}

impl Progress {
    /// By a message that was stored before.
    pub(super) fn of_another(entry: &Entry) -> Option<Self> {
        let Entry::Message(message) = entry else { return None };
        let match_id = MatchId::new(message.match_id.as_str()).ok()?;
        Some(Self { match_id, last_seq: message.seq, committed_ms: None })
    }

    /// By messages that this replica has stored.
    pub(super) fn of_own(news: &News) -> Option<Self> {
        let Event::MessagesPosted(posted) = &news.event else { return None };
        let last = posted.messages.last()?;
        let (match_id, committed_ms) = (news.match_id.clone(), Some(last.created_at_ms));
        Some(Self { match_id, last_seq: last.seq, committed_ms })
    }
}
