//! Records that a match has reached a milestone, once for ever.

use proto::{
    MatchId,
    chat::{Change, Milestone, change::Kind},
};

use super::{Command, Wanted};
use crate::{
    outcome::{Changed, Outcome, Refusal},
    room::Room,
};

/// A milestone that a match is said to have reached, as its configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMilestone {
    /// The match.
    pub match_id: MatchId,
    /// The milestone's name.
    pub milestone_id: String,
    /// The message that reaches it.
    pub threshold: i64,
    /// What it unlocks.
    pub unlocks: Vec<String>,
    /// Whether it is one of groups.
    pub of_groups: bool,
}

impl Command for RecordMilestone {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        wanted.milestones.insert((self.match_id.as_str(), &self.milestone_id));
        wanted.by_seq.insert((self.match_id.as_str(), self.threshold));
    }

    fn decide(&self, room: &mut Room) -> Outcome {
        let standing = room.change(|kind| matches!(kind, Kind::Milestone(of) if of.milestone_id == self.milestone_id));
        Outcome::Changed(match standing.cloned() {
            None if room.audience().is_group() != self.of_groups => Err(Refusal::OtherKind),
            _ if room.head().last_seq < self.threshold => Err(Refusal::NotReached),
            Some(change) => {
                room.repeat_change(&change);
                Ok(Changed { change, is_new: false })
            }
            None => Ok(Changed { change: self.record(room), is_new: true }),
        })
    }
}

impl RecordMilestone {
    fn record(&self, room: &mut Room) -> Change {
        let reached_by = room.message_at(self.threshold);
        let reached_at_ms = reached_by.map_or(room.head().now_ms, |row| row.message.created_at_ms);
        room.add_change(reached_at_ms, |rev, after_seq| {
            let Self { milestone_id, threshold, unlocks, .. } = self.clone();
            Kind::Milestone(Milestone { milestone_id, rev, threshold, unlocks, reached_at_ms, after_seq })
        })
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::Message;

    use super::*;
    use crate::{
        audience::Audience,
        news::{Entry, Logged},
        room::Head,
        stored::Row,
    };

    fn id() -> MatchId {
        MatchId::new("demo").unwrap()
    }

    fn command(threshold: i64) -> RecordMilestone {
        let (milestone_id, unlocks) = ("calls".to_owned(), vec!["video".to_owned()]);
        RecordMilestone { match_id: id(), milestone_id, threshold, unlocks, of_groups: false }
    }

    fn room(rev: i64) -> Room {
        Room::new(
            id(),
            Head { last_seq: 7, rev, closed: false, now_ms: 1_000, members_rev: 0 },
            Audience::new(Vec::new(), 0),
        )
    }

    fn standing(rev: i64, reached_at_ms: i64) -> Change {
        let (milestone_id, unlocks) = ("calls".to_owned(), vec!["video".to_owned()]);
        let milestone = Milestone { milestone_id, rev, threshold: 5, unlocks, reached_at_ms, after_seq: 7 };
        Change { rev, after_seq: 7, created_at_ms: reached_at_ms, kind: Some(Kind::Milestone(milestone)) }
    }

    #[test]
    fn a_milestone_was_reached_when_its_message_was_stored_and_is_the_next_change() {
        let mut room = room(2);
        let (sender_id, client_id) = ("alice".to_owned(), "c".to_owned());
        let message = Message { seq: 5, created_at_ms: 10, sender_id, client_id, ..Message::default() };
        room.remember(Row::new(message, false));
        let recorded = command(5).decide(&mut room);
        assert_eq!(recorded, Outcome::Changed(Ok(Changed { change: standing(3, 10), is_new: true })));
        assert_eq!(room.head().rev, 3);
    }

    #[test]
    fn a_milestone_whose_message_is_gone_is_reached_now() {
        let recorded = command(5).decide(&mut room(0));
        assert_eq!(recorded, Outcome::Changed(Ok(Changed { change: standing(1, 1_000), is_new: true })));
    }

    #[test]
    fn a_milestone_is_recorded_once() {
        let mut room = room(4);
        room.remember_change(standing(4, 10));
        let again = command(5).decide(&mut room);
        assert_eq!(again, Outcome::Changed(Ok(Changed { change: standing(4, 10), is_new: false })));
        let (additions, moved) = room.into_additions();
        assert_eq!((additions.changes, additions.retold, moved), (vec![], vec![], None));
        assert_eq!(additions.repeated, [Entry::Change(Logged { match_id: id(), change: standing(4, 10) })]);
    }

    #[test]
    fn a_milestone_of_groups_is_reached_by_groups_alone() {
        let of_groups = RecordMilestone { of_groups: true, ..command(5) };
        assert_eq!(of_groups.decide(&mut room(0)), Outcome::Changed(Err(Refusal::OtherKind)));
        let head = room(0).head().clone();
        let mut group = Room::new(id(), head, Audience::group(Vec::new(), 0));
        assert_eq!(command(5).decide(&mut group), Outcome::Changed(Err(Refusal::OtherKind)));
        assert!(of_groups.decide(&mut group).into_change().unwrap().is_new);
    }

    #[test]
    fn a_milestone_that_the_match_has_not_come_to_is_refused() {
        assert_eq!(command(8).decide(&mut room(0)), Outcome::Changed(Err(Refusal::NotReached)));
    }
}
