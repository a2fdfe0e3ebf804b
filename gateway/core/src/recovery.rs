//! Connection state recovery: what a client brings back is held against what the services say. No gateway keeps a
//! session.

use proto::{MatchId, UserId, chat::MatchHead};

use crate::{
    chats::RecoveredChat,
    cursor::{self, Position},
    mistake::{self, Mistake},
    pid::Pid,
};

/// Who has missed more than this in a chat starts anew, and pages.
pub const MAX_MISSED: i64 = 1_000;

/// What a socket starts with.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The socket's pid.
    pub pid: Pid,
    /// The pid that the client brought, if it is this user's: an earlier socket of it is replaced by this one. The
    /// socket is recovered if it is its own pid.
    pub replaces: Option<Pid>,
    /// Chats that were open, also those that were closed meanwhile: each is in the cursor until its end was told.
    pub chats: Vec<RecoveredChat>,
    /// Those of them that were closed meanwhile.
    pub closed: Vec<MatchId>,
    /// Chats whose milestones the earlier socket was not all told of.
    pub untold: Vec<MatchId>,
}

/// What a client brought back that is its user's.
#[derive(Debug, PartialEq, Eq)]
pub struct Brought {
    pid: Option<Pid>,
    /// Without a cursor nobody knows what the client had open: a join that was lost with its connection would count as
    /// done.
    positions: Option<Vec<Position>>,
}

impl Brought {
    /// Reads the `pid` and the `offset` that a client brings; what is not this user's counts as none.
    pub fn read(user: &UserId, pid: Option<&str>, offset: Option<&str>) -> Self {
        let pid = pid.and_then(|pid| Pid::of_user(pid, user));
        let tag = pid.as_ref().map(Pid::tag);
        let positions = tag.and_then(|tag| offset.and_then(|offset| cursor::read(offset, tag)));
        Self { pid, positions }
    }

    /// The matches whose heads decide whether the client is recovered.
    pub fn matches(&self) -> Vec<String> {
        self.positions.iter().flatten().map(|position| position.chat.to_string()).collect()
    }

    /// What the socket starts with: what the client brought back, or anew with the `fresh` pid.
    pub fn recover(self, user: &UserId, heads: &[MatchHead], fresh: Pid) -> Recovery {
        let Self { pid, positions } = self;
        let recovered = pid.as_ref().zip(positions).and_then(|(pid, positions)| resume(pid, user, positions, heads));
        recovered.unwrap_or(Recovery { pid: fresh, replaces: pid, chats: vec![], closed: vec![], untold: vec![] })
    }
}

/// What is left of the chats that were open. `None` when too much was missed, or when the cursor cannot be one of ours:
/// it names a chat that the user does not have, or one that has not come so far. Pure.
pub fn resume(pid: &Pid, user: &UserId, positions: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
    let mut recovery = Recovery {
        pid: pid.clone(),
        replaces: Some(pid.clone()),
        chats: Vec::new(),
        closed: Vec::new(),
        untold: Vec::new(),
    };
    for position in positions {
        let head = heads.iter().find(|head| head.match_id == position.chat.as_str())?;
        let milestones = head.rev;
        if !is_member(head, user) || position.seq > head.last_seq || position.milestones > milestones {
            return None;
        }
        if head.closed {
            recovery.closed.push(position.chat.clone());
        } else if head.last_seq - position.seq > MAX_MISSED {
            return None;
        } else if position.milestones < milestones {
            recovery.untold.push(position.chat.clone());
        }
        let other = head.members.iter().find(|member| *member != user.as_str());
        let other = other.and_then(|other| UserId::new(other.as_str()).ok());
        recovery.chats.push(RecoveredChat { position, head: head.last_seq, other });
    }
    Some(recovery)
}

fn is_member(head: &MatchHead, user: &UserId) -> bool {
    mistake::is_planted(Mistake::NoMembership) || head.members.iter().any(|member| member == user.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chats::Chats;

    fn alice() -> UserId {
        UserId::new("alice").unwrap()
    }

    fn position(chat: &str, seq: i64) -> Position {
        Position { chat: MatchId::new(chat).unwrap(), seq, milestones: 0 }
    }

    fn head(chat: &str, last_seq: i64, closed: bool) -> MatchHead {
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        MatchHead { match_id: chat.to_owned(), last_seq, rev: 1, closed, members, milestones: 1, members_rev: 0 }
    }

    fn resumed(positions: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
        resume(&Pid::from_random([7; 16], &alice()), &alice(), positions, heads)
    }

    #[test]
    fn a_chat_goes_on_where_the_earlier_socket_had_read_to() {
        let recovery = resumed(vec![position("m", 3)], &[head("m", 9, false)]).unwrap();
        let other = UserId::new("bob").ok();
        assert_eq!(recovery.chats, [RecoveredChat { position: position("m", 3), head: 9, other }]);
        assert_eq!(recovery.replaces, Some(recovery.pid));
    }

    #[test]
    fn a_closed_chat_stays_in_the_cursor_until_its_end_was_told() {
        let heads = [head("a", 9, true), head("b", MAX_MISSED + 9, true), head("c", 5, false)];
        let positions = vec![position("a", 3), position("b", 5), position("c", 5)];
        let Recovery { pid, chats, closed, .. } = resumed(positions, &heads).unwrap();
        let mut chats = Chats::restored(chats);
        let open = |chats: &Chats| {
            let positions = cursor::read(&chats.cursor(pid.tag(), None), pid.tag()).unwrap();
            let mut ids: Vec<String> = positions.iter().map(|position| position.chat.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(open(&chats), ["a", "b", "c"]);
        for (chat, left) in closed.iter().zip([vec!["b", "c"], vec!["c"]]) {
            assert!(chats.close(chat));
            assert_eq!(open(&chats), left);
        }
    }

    #[test]
    fn a_cursor_with_another_users_chat_or_with_one_that_does_not_exist_recovers_nothing() {
        let foreign = MatchHead { members: vec!["bob".to_owned(), "carol".to_owned()], ..head("m", 9, false) };
        for mut heads in [vec![foreign], vec![]] {
            heads.push(head("own", 9, false));
            for positions in [vec![position("m", 3)], vec![position("own", 3), position("m", 3)]] {
                assert_eq!(resumed(positions, &heads), None);
            }
        }
    }

    #[test]
    fn who_missed_more_than_a_thousand_starts_anew() {
        assert!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED, false)]).is_some());
        assert_eq!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED + 1, false)]), None);
    }

    #[test]
    fn a_cursor_above_what_the_chat_has_come_to_recovers_nothing() {
        let heads = [head("m", 9, false), head("closed", 9, true)];
        for chat in ["m", "closed"] {
            assert!(resumed(vec![Position { milestones: 1, ..position(chat, 9) }], &heads).is_some());
            assert_eq!(resumed(vec![position(chat, 10)], &heads), None);
            assert_eq!(resumed(vec![position(chat, i64::MAX)], &heads), None);
            assert_eq!(resumed(vec![Position { milestones: 2, ..position(chat, 9) }], &heads), None);
        }
    }

    #[test]
    fn a_cursor_without_chats_recovers_a_socket_without_chats() {
        assert_eq!(resumed(vec![], &[]).map(|recovery| recovery.chats), Some(vec![]));
    }
}
