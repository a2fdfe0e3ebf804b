//! The state of one socket: its open chats, what waits its turn, the calls it knows. Pure: no IO, no clock.

use std::sync::Arc;

use proto::{MatchId, UserId};

use super::{
    call_commands::CallCommand,
    calls::Calls,
    commands::Activity,
    cursor::{self, MAX_JOINED, Position},
    feed::{Announced, Posted},
    lines::Lines,
    order::Command,
    pid::Pid,
    room::Room,
    turns::Turns,
};

/// A chat that the socket has open, or is about to.
#[derive(Debug)]
pub struct JoinedChat {
    /// Its match.
    pub id: MatchId,
    /// How far it was delivered.
    pub room: Room<Arc<Posted>, Arc<Announced>>,
    /// The other member, known once the chat is open.
    pub other: Option<UserId>,
    /// The highest seq that a message of this socket was acked with.
    pub sent: i64,
    /// The other member was told that this socket's user types, and not yet that the user has stopped.
    pub typing: bool,
    /// This socket was told that the other member types, and not yet that the member has stopped.
    pub shown: bool,
    /// Missed messages are being fetched.
    pub healing: bool,
}

/// A chat that an earlier socket had open.
#[derive(Debug, PartialEq, Eq)]
pub struct RecoveredChat {
    /// How far that one had read.
    pub position: Position,
    /// How far the chat has come.
    pub head: i64,
    /// The other member.
    pub other: Option<UserId>,
}

/// A chat that the socket has no more, as far as that still matters.
#[derive(Debug)]
struct Parted {
    id: MatchId,
    /// How many milestones the socket was told of while it had joined.
    milestones: i64,
    closed: bool,
}

/// What is to be done, besides its open chats, for a socket that takes the place of an earlier one.
#[derive(Debug)]
pub struct Resumed {
    /// The earlier one's pid: the socket's own if it is recovered.
    pub replaces: Pid,
    /// Those of its open chats that were closed meanwhile.
    pub closed: Vec<MatchId>,
    /// Chats with milestones to be told.
    pub untold: Vec<MatchId>,
    /// How many events the user's inbox had had before the heads were read.
    pub heard: u64,
}

/// The state of one socket.
#[derive(Debug, Default)]
pub struct Session {
    joined: Vec<JoinedChat>,
    /// Chats that were left or closed while the socket was here, the latest last.
    parted: Vec<Parted>,
    pub(crate) lines: Lines<Command>,
    pub(crate) call_commands: Turns<CallCommand>,
    pub(crate) calls: Calls,
    pub(crate) activity: Activity,
    /// What is still to be done for a socket that takes the place of an earlier one, once it is connected.
    pub resumed: Option<Box<Resumed>>,
}

impl JoinedChat {
    /// Whether a message that this socket was acked has not come around yet: then nobody else may have it either.
    pub(crate) fn awaits_own(&self) -> bool {
        self.sent > self.room.cursor()
    }
}

impl Session {
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

    /// Opens the chats that an earlier socket had open.
    pub fn restore(&mut self, chats: Vec<RecoveredChat>, resumed: Resumed) {
        self.resumed = Some(Box::new(resumed));
        self.joined.reserve_exact(chats.len());
        self.joined.extend(chats.into_iter().map(|RecoveredChat { position, head, other }| JoinedChat {
            id: position.chat,
            room: Room::recovered(position.seq, head, position.milestones),
            other,
            sent: 0,
            typing: false,
            shown: false,
            healing: false,
        }));
    }

    /// Whether the socket is about to take this device's part in a call. Until it has, it hears what is meant for that one.
    pub(crate) fn takes_over(&self, device: &str) -> bool {
        self.resumed.as_ref().is_some_and(|resumed| resumed.replaces.sid() == device)
    }

    /// How far the socket has come in a chat: the seq, and how many milestones it was told.
    pub(crate) fn position(&self, id: &MatchId) -> (i64, i64) {
        let chat = self.joined.iter().find(|chat| chat.id == *id);
        chat.map_or((0, 0), |chat| (chat.room.cursor(), chat.room.milestones()))
    }

    /// The cursor of the socket with the pid's `tag`; for one chat as it was at another position than now. It is empty
    /// for a socket without a tag, which is not recovered.
    pub fn cursor(&self, tag: &str, at: Option<&Position>) -> String {
        if tag.is_empty() {
            return String::new();
        }
        let positions = self.open_chats().map(|chat| match at {
            Some(at) if at.chat == chat.id => (&chat.id, at.seq, at.milestones),
            _ => (&chat.id, chat.room.cursor(), chat.room.milestones()),
        });
        cursor::write(tag, positions)
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
        let (id, room) = (id.clone(), Room::joining());
        // Most sockets have one chat open, and an idle one should not pay for four.
        self.joined.reserve_exact(1);
        self.joined.push(JoinedChat { id, room, other: None, sent: 0, typing: false, shown: false, healing: false });
        true
    }

    /// Leaves a chat; returns it if it had been joined.
    pub fn leave(&mut self, id: &MatchId) -> Option<JoinedChat> {
        let index = self.joined.iter().position(|chat| chat.id == *id)?;
        let left = self.joined.swap_remove(index);
        self.part(id, left.room.milestones(), false);
        Some(left).filter(|chat| chat.room.is_open())
    }

    /// Leaves all chats but one; returns them.
    pub fn leave_others(&mut self, id: &MatchId) -> Vec<JoinedChat> {
        let left: Vec<JoinedChat> = self.joined.extract_if(.., |chat| chat.id != *id).collect();
        self.joined.shrink_to_fit();
        for chat in &left {
            self.part(&chat.id, chat.room.milestones(), false);
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

    /// Whether a socket that has not joined the match needs no word of its milestone: it has heard of it, or the match is closed.
    pub(crate) fn is_past(&self, id: &MatchId, milestone: i64) -> bool {
        self.parted(id).is_some_and(|parted| parted.closed || milestone <= parted.milestones)
    }

    fn parted(&self, id: &MatchId) -> Option<&Parted> {
        self.parted.iter().find(|parted| parted.id == *id)
    }

    fn part(&mut self, id: &MatchId, milestones: i64, closed: bool) {
        if let Some(parted) = self.parted.iter_mut().find(|parted| parted.id == *id) {
            parted.milestones = milestones.max(parted.milestones);
            parted.closed |= closed;
        } else if milestones > 0 || closed {
            if self.parted.len() >= MAX_JOINED {
                self.parted.remove(0);
            }
            self.parted.push(Parted { id: id.clone(), milestones, closed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MatchId {
        MatchId::new(text).unwrap()
    }

    fn join(session: &mut Session, chat: &str, keep_others: bool) -> bool {
        let begun = session.begin_join(&id(chat), keep_others);
        if let Some(chat) = session.chat(&id(chat)) {
            chat.room.opened(0, 0);
        }
        begun
    }

    #[test]
    fn a_chat_counts_as_joined_only_when_its_join_is_done() {
        let mut session = Session::default();
        assert!(session.begin_join(&id("a"), false));
        assert!(session.open_chat(&id("a")).is_none());
        session.chat(&id("a")).unwrap().room.opened(3, 0);
        assert!(session.open_chat(&id("a")).is_some());
    }

    #[test]
    fn joining_another_chat_leaves_the_first_unless_it_is_kept() {
        let mut session = Session::default();
        join(&mut session, "a", false);
        join(&mut session, "b", true);
        assert_eq!(session.open_chats().count(), 2);
        join(&mut session, "c", false);
        assert_eq!(session.leave_others(&id("c")).len(), 2);
        assert_eq!(session.open_chats().count(), 1);
    }

    #[test]
    fn the_17th_kept_chat_is_refused() {
        let mut session = Session::default();
        for number in 0..MAX_JOINED {
            assert!(join(&mut session, &number.to_string(), true));
        }
        assert!(!join(&mut session, "one-more", true));
        assert!(join(&mut session, "0", true), "a chat that is joined can be joined again");
        assert!(join(&mut session, "one-more", false), "leaving the others makes room");
    }

    #[test]
    fn a_closed_match_is_told_once_and_remembered_within_bounds() {
        let mut session = Session::default();
        join(&mut session, "a", false);
        assert!(session.close(&id("a")));
        assert!(!session.close(&id("a")));
        assert!(session.open_chat(&id("a")).is_none());
        for number in 0..100 {
            session.close(&id(&number.to_string()));
        }
        assert_eq!(session.parted.len(), MAX_JOINED);
    }
}
