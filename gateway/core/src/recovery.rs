//! Connection state recovery: what a client brings back is held against what the services say. No gateway keeps a
//! session.

use proto::{MatchId, UserId, chat::MatchHead};

use crate::{
    chats::RecoveredChat,
    cursor::{self, CallPosition, Cursor},
    epoch::Epoch,
    mistake::{self, Mistake},
    others::{Others, names},
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
    /// The last call that the earlier socket heard of.
    pub call: Option<CallPosition>,
}

impl Recovery {
    /// Nothing is recovered. An earlier socket is replaced, if there is one.
    pub fn anew(pid: Pid, replaces: Option<Pid>) -> Self {
        Self { pid, replaces, chats: Vec::new(), closed: Vec::new(), call: None }
    }
}

/// What a client brought back that is its user's.
#[derive(Debug, PartialEq, Eq)]
pub struct Brought {
    pid: Option<Pid>,
    /// Without a cursor nobody knows what the client had open: a join that was lost with its connection would count as
    /// done.
    cursor: Option<Cursor>,
}

impl Brought {
    /// Reads the `pid` and the `offset` that a client brings; what is not this user's counts as none.
    pub fn read(user: &UserId, pid: Option<&str>, offset: Option<&str>) -> Self {
        let pid = pid.and_then(|pid| Pid::of_user(pid, user));
        let tag = pid.as_ref().map(Pid::tag);
        let cursor = tag.and_then(|tag| offset.and_then(|offset| cursor::read(offset, tag)));
        Self { pid, cursor }
    }

    /// The matches whose heads decide whether the client is recovered.
    pub fn matches(&self) -> Vec<String> {
        self.cursor.iter().flat_map(|cursor| &cursor.chats).map(|position| position.chat.to_string()).collect()
    }

    /// What the socket starts with: what the client brought back, or anew with the `fresh` pid. The heads are those of
    /// a database of this epoch.
    pub fn recover(self, user: &UserId, (heads, epoch): (&[MatchHead], Epoch), fresh: Pid) -> Recovery {
        let Self { pid, cursor } = self;
        let cursor = cursor.filter(|cursor| cursor.epoch == epoch || mistake::is_planted(Mistake::AnyEpoch));
        let recovered = pid.as_ref().zip(cursor).and_then(|(pid, cursor)| resume(pid, user, cursor, heads));
        recovered.unwrap_or(Recovery::anew(fresh, pid))
    }
}

/// What is left of what was open. `None` when too much was missed, or when the cursor cannot be one of ours: it names a
/// chat that the user does not have, or one that has not come so far. Pure.
pub fn resume(pid: &Pid, user: &UserId, cursor: Cursor, heads: &[MatchHead]) -> Option<Recovery> {
    let mut recovery = Recovery { call: cursor.call, ..Recovery::anew(pid.clone(), Some(pid.clone())) };
    for position in cursor.chats {
        let head = heads.iter().find(|head| head.match_id == position.chat.as_str())?;
        if !is_member(head, user) || position.seq > head.last_seq || position.rev > head.rev {
            return None;
        }
        if head.closed {
            recovery.closed.push(position.chat.clone());
        } else if head.last_seq - position.seq > MAX_MISSED {
            return None;
        }
        let others = Others::of(&head.members, user).apart_from(&head.apart);
        let hides_typing = head.hides_typing;
        recovery.chats.push(RecoveredChat { position, head: (head.last_seq, head.rev), others, hides_typing });
    }
    Some(recovery)
}

fn is_member(head: &MatchHead, user: &UserId) -> bool {
    mistake::is_planted(Mistake::NoMembership) || names(&head.members, user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::Chats,
        cursor::{Line, Position},
    };

    fn alice() -> UserId {
        UserId::new("alice").unwrap()
    }

    fn position(chat: &str, seq: i64) -> Position {
        Position { chat: MatchId::new(chat).unwrap(), seq, rev: 0 }
    }

    fn head(chat: &str, last_seq: i64, closed: bool) -> MatchHead {
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        MatchHead { match_id: chat.to_owned(), last_seq, rev: 1, closed, members, ..MatchHead::default() }
    }

    fn epoch() -> Epoch {
        Epoch::read("one").unwrap()
    }

    fn pid() -> Pid {
        Pid::from_random([7; 16], &alice())
    }

    fn resumed(chats: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
        resume(&pid(), &alice(), Cursor { epoch: epoch(), chats, call: None }, heads)
    }

    #[test]
    fn a_chat_goes_on_where_the_earlier_socket_had_read_to() {
        let recovery = resumed(vec![position("m", 3)], &[head("m", 9, false)]).unwrap();
        let others = Others::of(&["bob".to_owned()], &alice());
        let goes_on = RecoveredChat { position: position("m", 3), head: (9, 1), others, hides_typing: false };
        assert_eq!(recovery.chats, [goes_on]);
        assert_eq!(recovery.replaces, Some(recovery.pid));
    }

    #[test]
    fn a_closed_chat_stays_in_the_cursor_until_its_end_was_told() {
        let heads = [head("a", 9, true), head("b", MAX_MISSED + 9, true), head("c", 5, false)];
        let positions = vec![position("a", 3), position("b", 5), position("c", 5)];
        let Recovery { pid, chats, closed, .. } = resumed(positions, &heads).unwrap();
        let mut chats = Chats::restored(chats);
        let open = |chats: &Chats| {
            let line = Line { tag: pid.tag(), epoch: epoch(), call: None };
            let cursor = cursor::read(&chats.cursor(line, None), pid.tag()).unwrap();
            let mut ids: Vec<String> = cursor.chats.iter().map(|position| position.chat.to_string()).collect();
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
            assert!(resumed(vec![Position { rev: 1, ..position(chat, 9) }], &heads).is_some());
            assert_eq!(resumed(vec![position(chat, 10)], &heads), None);
            assert_eq!(resumed(vec![position(chat, i64::MAX)], &heads), None);
            assert_eq!(resumed(vec![Position { rev: 2, ..position(chat, 9) }], &heads), None);
        }
    }

    #[test]
    fn a_cursor_without_chats_recovers_a_socket_without_chats() {
        assert_eq!(resumed(vec![], &[]).map(|recovery| recovery.chats), Some(vec![]));
    }

    #[test]
    fn what_was_read_of_another_epoch_is_not_recovered_and_its_call_neither() {
        let heads = [head("m", 9, false)];
        let recover = |epoch: &str, offset: &str| {
            let offset = format!("2~{}~{offset}", pid().tag());
            let brought = Brought::read(&alice(), Some(pid().as_str()), Some(&offset));
            brought.recover(&alice(), (&heads, Epoch::read(epoch).unwrap()), Pid::from_random([8; 16], &alice()))
        };
        for offset in ["one~m:3:0~!c:2", "one~!c:2"] {
            let recovered = recover("one", offset);
            assert_eq!((recovered.pid, recovered.call.map(|call| call.version)), (pid(), Some(2)));
            let other = recover("two", offset);
            assert_eq!(other, Recovery::anew(Pid::from_random([8; 16], &alice()), Some(pid())));
        }
    }
}
