//! The chats that a socket has open, and how far it has come in each.

use std::sync::Arc;

use proto::{MatchId, UserId};

use crate::{
    changed::Changed,
    cursor::{self, Line, MAX_JOINED, Position},
    gap::Gap,
    others::Others,
    posted::Posted,
    presence::Shown,
    room::Room,
};

/// A chat that the socket has open, or is about to.
#[derive(Debug)]
pub struct JoinedChat {
    /// Its match.
    pub id: MatchId,
    /// How far it was delivered.
    pub room: Room<Arc<Posted>, Arc<Changed>>,
    /// The other members, known once the chat is open.
    pub others: Others,
    /// The highest seq that a message of this socket was acked with.
    pub sent: i64,
    /// The user was removed, as far as is known: something is missing that may tell otherwise.
    pub(crate) is_out: bool,
    /// The user does not share typing: it is neither told nor shown.
    pub(crate) hides_typing: bool,
    /// What this socket was told of the presence of the other member, if there is one.
    pub(crate) presence: Shown,
    /// The others were told that this socket's user types, and not yet that the user has stopped.
    pub typing: bool,
    /// Of whom this socket was told that they type, and not yet that they have stopped.
    pub shown: Vec<UserId>,
    /// Missed messages are being fetched.
    pub(crate) gap: Option<Box<Gap>>,
}

/// A chat that an earlier socket had open.
#[derive(Debug, PartialEq, Eq)]
pub struct RecoveredChat {
    /// How far that one had read.
    pub position: Position,
    /// How far the chat has come, in seq and rev.
    pub head: (i64, i64),
    /// The other members.
    pub others: Others,
    /// The user does not share typing.
    pub hides_typing: bool,
}

/// A chat that the socket has no more, as far as that still matters.
#[derive(Debug)]
struct Parted {
    id: MatchId,
    /// Up to which change the socket was told while it had joined.
    rev: i64,
    closed: bool,
}

/// The chats of one socket.
#[derive(Debug, Default)]
pub struct Chats {
    joined: Vec<JoinedChat>,
    /// Chats that were left or closed while the socket was here, the latest last. Mostly none.
    #[expect(clippy::box_collection, reason = "a vector itself is three words")]
    parted: Option<Box<Vec<Parted>>>,
}

impl JoinedChat {
    fn new(id: MatchId) -> Self {
        Self {
            id,
            room: Room::joining(),
            others: Others::default(),
            is_out: false,
            sent: 0,
            hides_typing: false,
            presence: Shown::Hidden,
            typing: false,
            shown: Vec::new(),
            gap: None,
        }
    }

    /// Whether a message that this socket was acked has not come around yet: then nobody else may have it either.
    pub(crate) fn awaits_own(&self) -> bool {
        self.sent > self.room.seq()
    }
}

impl Chats {
    /// The chat with this id, joined or about to be.
    pub fn chat(&mut self, id: &MatchId) -> Option<&mut JoinedChat> {
        self.joined.iter_mut().find(|chat| chat.id == *id)
    }

    /// The chat with this id, if it has been joined.
    pub fn open_chat(&mut self, id: &MatchId) -> Option<&mut JoinedChat> {
        self.chat(id).filter(|chat| chat.room.is_open())
    }

    /// The chats that have been joined.
    pub fn open_chats(&self) -> impl Iterator<Item = &JoinedChat> {
        self.joined.iter().filter(|chat| chat.room.is_open())
    }

    /// The chats that an earlier socket had open.
    pub fn restored(chats: Vec<RecoveredChat>) -> Self {
        let joined = chats.into_iter().map(|RecoveredChat { position, head, others, hides_typing }| JoinedChat {
            room: Room::recovered((position.seq, position.rev), head),
            others,
            hides_typing,
            ..JoinedChat::new(position.chat)
        });
        Self { joined: joined.collect(), parted: None }
    }

    /// How far the socket has come in a chat, in seq and rev.
    pub(crate) fn position(&self, id: &MatchId) -> (i64, i64) {
        let chat = self.joined.iter().find(|chat| chat.id == *id);
        chat.map_or((0, 0), |chat| (chat.room.seq(), chat.room.rev()))
    }

    /// The cursor of a socket; for one chat as it was at another position than now. It is empty for a socket without a
    /// tag, which is not recovered.
    pub fn cursor(&self, line: Line<'_>, at: Option<&Position>) -> String {
        if line.tag.is_empty() {
            return String::new();
        }
        let positions = self.open_chats().map(|chat| match at {
            Some(at) if at.chat == chat.id => (&chat.id, at.seq, at.rev),
            _ => (&chat.id, chat.room.seq(), chat.room.rev()),
        });
        cursor::write(line, positions)
    }

    /// The chats that have been joined, to be changed.
    pub fn open_chats_mut(&mut self) -> impl Iterator<Item = &mut JoinedChat> {
        self.joined.iter_mut().filter(|chat| chat.room.is_open())
    }

    /// A join begins: from here on the chat's events are held. False if no more chats may be open.
    pub fn begin_join(&mut self, id: &MatchId, keep_others: bool) -> bool {
        if let Some(chat) = self.chat(id) {
            chat.room.rejoin();
            return true;
        }
        if keep_others && self.joined.len() >= MAX_JOINED {
            return false;
        }
        // Most sockets have one chat open, and an idle one should not pay for four.
        self.joined.reserve_exact(1);
        self.joined.push(JoinedChat::new(id.clone()));
        true
    }

    /// Leaves a chat; returns it if it had been joined.
    pub fn leave(&mut self, id: &MatchId) -> Option<JoinedChat> {
        let index = self.joined.iter().position(|chat| chat.id == *id)?;
        let left = self.joined.swap_remove(index);
        self.part(id, left.room.rev(), false);
        Some(left).filter(|chat| chat.room.is_open())
    }

    /// Leaves all chats but one; returns them.
    pub fn leave_others(&mut self, id: &MatchId) -> Vec<JoinedChat> {
        let left: Vec<JoinedChat> = self.joined.extract_if(.., |chat| chat.id != *id).collect();
        self.joined.shrink_to_fit();
        for chat in &left {
            self.part(&chat.id, chat.room.rev(), false);
        }
        left
    }

    /// Leaves all chats; returns them.
    pub fn leave_all(&mut self) -> Vec<JoinedChat> {
        std::mem::take(&mut self.joined)
    }

    /// A match was closed: its chat is dropped. False if that was known.
    pub fn close(&mut self, id: &MatchId) -> bool {
        self.leave(id);
        if self.is_closed(id) {
            return false;
        }
        self.part(id, 0, true);
        true
    }

    /// Whether the match is known to be closed.
    pub fn is_closed(&self, id: &MatchId) -> bool {
        self.parted(id).is_some_and(|parted| parted.closed)
    }

    /// Whether a socket that has not joined the match needs no word of its change: it has heard of it, or the match is
    /// closed.
    pub(crate) fn is_past(&self, id: &MatchId, rev: i64) -> bool {
        self.parted(id).is_some_and(|parted| parted.closed || rev <= parted.rev)
    }

    fn parted(&self, id: &MatchId) -> Option<&Parted> {
        self.parted.iter().flat_map(|parted| parted.iter()).find(|parted| parted.id == *id)
    }

    fn part(&mut self, id: &MatchId, rev: i64, closed: bool) {
        let known = self.parted.iter_mut().flat_map(|parted| parted.iter_mut()).find(|parted| parted.id == *id);
        if let Some(parted) = known {
            parted.rev = rev.max(parted.rev);
            parted.closed |= closed;
        } else if rev > 0 || closed {
            let parted = self.parted.get_or_insert_default();
            if parted.len() >= MAX_JOINED {
                parted.remove(0);
            }
            parted.push(Parted { id: id.clone(), rev, closed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MatchId {
        MatchId::new(text).unwrap()
    }

    fn join(chats: &mut Chats, chat: &str, keep_others: bool) -> bool {
        let begun = chats.begin_join(&id(chat), keep_others);
        if let Some(chat) = chats.chat(&id(chat)) {
            chat.room.opened(0, 0);
        }
        begun
    }

    #[test]
    fn a_chat_counts_as_joined_only_when_its_join_is_done() {
        let mut chats = Chats::default();
        assert!(chats.begin_join(&id("a"), false));
        assert!(chats.open_chat(&id("a")).is_none());
        chats.chat(&id("a")).unwrap().room.opened(3, 0);
        assert!(chats.open_chat(&id("a")).is_some());
    }

    #[test]
    fn joining_another_chat_leaves_the_first_unless_it_is_kept() {
        let mut chats = Chats::default();
        join(&mut chats, "a", false);
        join(&mut chats, "b", true);
        assert_eq!(chats.open_chats().count(), 2);
        join(&mut chats, "c", false);
        assert_eq!(chats.leave_others(&id("c")).len(), 2);
        assert_eq!(chats.open_chats().count(), 1);
    }

    #[test]
    fn the_17th_kept_chat_is_refused() {
        let mut chats = Chats::default();
        for number in 0..MAX_JOINED {
            assert!(join(&mut chats, &number.to_string(), true));
        }
        assert!(!join(&mut chats, "one-more", true));
        assert!(join(&mut chats, "0", true), "a chat that is joined can be joined again");
        assert!(join(&mut chats, "one-more", false), "leaving the others makes room");
    }

    #[test]
    fn a_closed_match_is_told_once_and_remembered_within_bounds() {
        let mut chats = Chats::default();
        join(&mut chats, "a", false);
        assert!(chats.close(&id("a")));
        assert!(!chats.close(&id("a")));
        assert!(chats.open_chat(&id("a")).is_none());
        for number in 0..100 {
            chats.close(&id(&number.to_string()));
        }
        assert_eq!(chats.parted.unwrap().len(), MAX_JOINED);
    }
}
