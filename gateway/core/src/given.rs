//! What a socket is given of what its user hears: once, in order, and nothing of its own. Pure: no IO, no clock.

use std::sync::Arc;

use proto::{MatchId, UserId};

use crate::{
    chats::Chats,
    cursor::Position,
    mistake::{self, Mistake},
    posted::{Announced, Posted},
    room::{Due, Sequenced},
};

/// The socket that is given something.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// Whose it is.
    pub user: &'a UserId,
    /// What its own messages are stored with.
    pub origin: u64,
    /// The tag of its pid, which its cursors carry; empty without a pid.
    pub tag: &'a str,
}

/// One event for a socket, with the cursor after it where it moves that.
#[derive(Debug)]
pub enum Given {
    /// `receive_message`.
    Message(Arc<Posted>, String),
    /// `inbox_updated`.
    Update(Arc<Posted>),
    /// `milestone_reached`, to a socket that has joined.
    Milestone(Arc<Announced>, String),
    /// `milestone_reached`, to a socket that has not.
    Notice(Arc<Announced>),
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
    pub fn take_posts(&mut self, posts: &[Arc<Posted>]) -> Option<Due<Arc<Posted>, Arc<Announced>>> {
        let joined = self.chat(&posts.first()?.chat)?;
        let messages = posts.iter().flat_map(|posted| joined.room.post(Arc::clone(posted))).collect();
        Some(Due { messages, milestones: Vec::new() })
    }

    /// The events of what is due in an open chat.
    pub fn given<'a>(
        &'a self,
        viewer: Viewer<'a>,
        chat: &'a MatchId,
        due: Due<Arc<Posted>, Arc<Announced>>,
    ) -> impl Iterator<Item = Given> + 'a {
        let (head, known) = self.position(chat);
        // Due milestones are told after the messages: until then those below the first one count as told.
        let told = due.milestones.first().map_or(known, |first| first.seq() - 1);
        let messages = due.messages.into_iter().filter(move |posted| !viewer.is_own(posted)).map(move |posted| {
            if viewer.is_by_rest(&posted) {
                return Given::Update(posted);
            }
            let at = Position { chat: chat.clone(), seq: posted.seq(), milestones: told };
            let cursor = self.cursor(viewer.tag, Some(&at));
            Given::Message(posted, cursor)
        });
        let milestones = due.milestones.into_iter().map(move |milestone| {
            let at = Position { chat: chat.clone(), seq: head, milestones: milestone.seq() };
            let cursor = self.cursor(viewer.tag, Some(&at));
            Given::Milestone(milestone, cursor)
        });
        messages.chain(milestones)
    }

    /// Takes a milestone; `to_all` says whether it is told also to a socket that has not joined the chat. Returns what
    /// is due of it.
    pub fn take_milestone(&mut self, tag: &str, announced: &Arc<Announced>, to_all: bool) -> Option<Given> {
        if let Some(joined) = self.chat(&announced.chat) {
            let due = joined.room.announce(Arc::clone(announced))?;
            return Some(Given::Milestone(due, self.cursor(tag, None)));
        }
        let is_due = to_all && !self.is_past(&announced.chat, announced.seq());
        is_due.then(|| Given::Notice(Arc::clone(announced)))
    }

    /// The cursor of a chat that has just been joined: what was held meanwhile, and is due now, comes after it.
    pub fn cursor_joined(&self, tag: &str, chat: &MatchId, due: &Due<Arc<Posted>, Arc<Announced>>) -> String {
        let (head, known) = self.position(chat);
        let at = Position {
            chat: chat.clone(),
            seq: due.messages.first().map_or(head, |first| first.seq() - 1),
            milestones: due.milestones.first().map_or(known, |first| first.seq() - 1),
        };
        self.cursor(tag, Some(&at))
    }
}

#[cfg(test)]
mod tests;
