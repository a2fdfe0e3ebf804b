//! What a socket is given of what its user hears: once, in order, and nothing of its own. Pure: no IO, no clock.

use std::sync::Arc;

use proto::{MatchId, UserId};

use crate::{
    changed::Changed,
    chats::Chats,
    cursor::{Line, Position},
    mistake::{self, Mistake},
    posted::Posted,
    room::{Due, Item},
    track::Counted,
};

/// What is due in a chat.
pub type DueEvents = Due<Arc<Posted>, Arc<Changed>>;

/// The socket that is given something.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// Whose it is.
    pub user: &'a UserId,
    /// What its own messages are stored with.
    pub origin: u64,
    /// What its cursors say besides the chats.
    pub line: Line<'a>,
}

/// One event for a socket, with the cursor after it where it moves that.
#[derive(Debug)]
pub enum Given {
    /// `receive_message`.
    Message(Arc<Posted>, String),
    /// `inbox_updated`.
    Update(Arc<Posted>),
    /// What tells of a change.
    Change(Arc<Changed>, String),
}

impl Viewer<'_> {
    /// What a socket that has not joined the chat is given of these messages.
    pub fn updates(self, posts: &[Arc<Posted>]) -> impl Iterator<Item = Given> {
        posts.iter().filter(move |posted| !self.is_own(posted)).map(|posted| Given::Update(Arc::clone(posted)))
    }

    /// Whether the socket sent the message itself, and so has its ack.
    fn is_own(self, posted: &Posted) -> bool {
        let is_own = posted.sender == *self.user && posted.message.origin == Some(self.origin);
        is_own && !mistake::is_planted(Mistake::OwnMessages)
    }

    /// Whether the user saved the message by REST without naming a socket: to the user's own sockets it is an update
    /// only.
    fn is_by_rest(self, posted: &Posted) -> bool {
        posted.sender == *self.user && posted.message.origin.is_none()
    }
}

impl Chats {
    /// Takes messages of one chat that were just stored. Returns what is due of them; `None` when the chat is not open
    /// here.
    pub fn take_posts(&mut self, posts: &[Arc<Posted>]) -> Option<DueEvents> {
        let joined = self.chat(&posts.first()?.chat)?;
        let mut due = Due::default();
        for posted in posts {
            due.extend(joined.room.post(Arc::clone(posted)));
        }
        Some(due)
    }

    /// Takes a change. Returns what is due of it; `None` when the chat is not open here.
    pub fn take_change(&mut self, changed: &Arc<Changed>) -> Option<DueEvents> {
        Some(self.chat(&changed.chat)?.room.change(Arc::clone(changed)))
    }

    /// The events of what is due in an open chat.
    pub fn given<'a>(
        &'a self,
        viewer: Viewer<'a>,
        chat: &'a MatchId,
        due: DueEvents,
    ) -> impl Iterator<Item = Given> + 'a {
        let mut at = self.position_before(chat, &due);
        due.in_order().filter_map(move |item| match item {
            Item::Message(posted) => {
                at.seq = posted.number();
                if viewer.is_own(&posted) {
                    None
                } else if viewer.is_by_rest(&posted) {
                    Some(Given::Update(posted))
                } else {
                    let cursor = self.cursor(viewer.line, Some(&at));
                    Some(Given::Message(posted, cursor))
                }
            }
            Item::Change(changed) => {
                at.rev = changed.number();
                Some(Given::Change(changed, self.cursor(viewer.line, Some(&at))))
            }
        })
    }

    /// How far a chat had come before what is due now.
    fn position_before(&self, chat: &MatchId, due: &DueEvents) -> Position {
        let (seq, rev) = self.position(chat);
        Position {
            chat: chat.clone(),
            seq: due.messages.first().map_or(seq, |first| first.number() - 1),
            rev: due.changes.first().map_or(rev, |first| first.number() - 1),
        }
    }

    /// The cursor of a chat that has just been joined: what was held meanwhile, and is due now, comes after it.
    pub fn cursor_joined(&self, line: Line<'_>, chat: &MatchId, due: &DueEvents) -> String {
        self.cursor(line, Some(&self.position_before(chat, due)))
    }
}

#[cfg(test)]
mod tests;
