//! Closes a match for good.

use proto::{
    MatchId,
    chat::{Closing, change::Kind},
};

use super::{Command, Wanted};
use crate::{
    outcome::{Changed, Outcome, Refusal},
    room::Room,
};

/// From then on the match takes no messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseMatch {
    /// The match.
    pub match_id: MatchId,
}

impl Command for CloseMatch {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        wanted.closings.insert(self.match_id.as_str());
    }

    /// A repeat tells the members again, so that a caller can repeat a closing whose news were lost.
    fn decide(&self, room: &mut Room) -> Outcome {
        let standing = room.change(|kind| matches!(kind, Kind::Closing(_))).cloned();
        Outcome::Changed(match standing {
            Some(change) => {
                room.retell(&change);
                Ok(Changed { change, is_new: false })
            }
            // Somebody has closed it by hand and left nothing in the log.
            None if room.head().closed => Err(Refusal::Broken),
            None => {
                let change = room.add_change(room.head().now_ms, |_, _| Kind::Closing(Closing {}));
                Ok(Changed { change, is_new: true })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::Change;

    use super::*;
    use crate::{
        audience::Audience,
        news::{Entry, Logged},
        room::Head,
    };

    fn id() -> MatchId {
        MatchId::new("demo").unwrap()
    }

    fn room(closed: bool) -> Room {
        Room::new(
            id(),
            Head { last_seq: 7, rev: 2, closed, now_ms: 1_000, members_rev: 0 },
            Audience::new(Vec::new(), 0),
        )
    }

    fn closing(rev: i64) -> Change {
        Change { rev, after_seq: 7, created_at_ms: 1_000, kind: Some(Kind::Closing(Closing {})) }
    }

    #[test]
    fn a_match_is_closed_by_its_next_change() {
        let mut room = room(false);
        let first = CloseMatch { match_id: id() }.decide(&mut room);
        assert_eq!(first, Outcome::Changed(Ok(Changed { change: closing(3), is_new: true })));
        let again = CloseMatch { match_id: id() }.decide(&mut room);
        assert_eq!(again, Outcome::Changed(Ok(Changed { change: closing(3), is_new: false })), "in the same batch");
        let (additions, moved) = room.into_additions();
        assert_eq!(additions.changes, [Logged { match_id: id(), change: closing(3) }]);
        assert_eq!(moved, Some((id(), Head { last_seq: 7, rev: 3, closed: true, now_ms: 1_000, members_rev: 0 })));
    }

    #[test]
    fn a_repeat_adds_nothing_and_tells_the_members_again() {
        let mut room = room(true);
        room.remember_change(closing(2));
        let again = CloseMatch { match_id: id() }.decide(&mut room);
        assert_eq!(again, Outcome::Changed(Ok(Changed { change: closing(2), is_new: false })));
        let (additions, moved) = room.into_additions();
        assert_eq!(additions.retold, [Entry::Change(Logged { match_id: id(), change: closing(2) })]);
        assert_eq!((additions.changes, moved), (vec![], None));
    }
}
