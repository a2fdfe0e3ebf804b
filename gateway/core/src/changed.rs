//! What changed in a match besides its new messages, as the sockets of its members are told of it.

use std::sync::Arc;

use proto::{
    MatchId,
    chat::{Change, Milestone, change::Kind},
    client::event,
};

use crate::{room::Follows, track::Counted, views};

/// A change of a match.
#[derive(Debug)]
pub struct Changed {
    /// Its chat.
    pub chat: MatchId,
    /// What chat-service says of it.
    pub change: Change,
}

impl Changed {
    /// A milestone that was recorded.
    pub fn milestone(chat: MatchId, milestone: Milestone) -> Self {
        let (rev, after_seq, created_at_ms) = (milestone.rev, milestone.after_seq, milestone.reached_at_ms);
        Self { chat, change: Change { rev, after_seq, created_at_ms, kind: Some(Kind::Milestone(milestone)) } }
    }

    /// The event that tells it, and its argument. A kind that is told in another way, or that this gateway does not
    /// know, only takes its place in the order.
    pub fn event(&self) -> Option<(&'static str, String)> {
        match self.change.kind.as_ref()? {
            Kind::Milestone(milestone) => {
                Some((event::MILESTONE_REACHED, views::milestone_reached(self.chat.as_str(), milestone)))
            }
            Kind::Closing(_) => None,
        }
    }

    /// About how much the event takes.
    pub(crate) fn bytes(&self) -> usize {
        self.event().map_or(0, |(_, json)| json.len())
    }

    /// Whether the match is closed by it.
    pub fn closes(&self) -> bool {
        matches!(self.change.kind, Some(Kind::Closing(_)))
    }
}

impl Counted for Arc<Changed> {
    fn number(&self) -> i64 {
        self.change.rev
    }
}

impl Follows for Arc<Changed> {
    fn after_seq(&self) -> i64 {
        self.change.after_seq
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::Closing;

    use super::*;

    fn changed(kind: Option<Kind>) -> Changed {
        let chat = MatchId::new("m").unwrap();
        Changed { chat, change: Change { rev: 3, after_seq: 9, created_at_ms: 1, kind } }
    }

    #[test]
    fn a_milestone_is_told_and_stands_where_it_was_recorded() {
        let milestone = Milestone { rev: 3, after_seq: 9, threshold: 8, reached_at_ms: 1, ..Milestone::default() };
        let changed = Changed::milestone(MatchId::new("m").unwrap(), milestone);
        assert_eq!(changed.event().map(|(name, _)| name), Some("milestone_reached"));
        let changed = Arc::new(changed);
        assert_eq!((changed.number(), changed.after_seq()), (3, 9));
    }

    #[test]
    fn what_is_told_in_another_way_and_what_is_not_known_have_no_event() {
        assert!(changed(Some(Kind::Closing(Closing {}))).closes());
        for kind in [Some(Kind::Closing(Closing {})), None] {
            assert_eq!(changed(kind).event(), None);
        }
    }
}
