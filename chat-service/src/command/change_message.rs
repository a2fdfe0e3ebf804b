//! Changes a message that is stored: edits it, deletes it for everyone, or reacts to it.

use std::time::Duration;

use proto::{
    ClientId, MatchId, UserId,
    chat::{Change, Code, Deleted, Edited, Reacted, Reaction, change::Kind},
};

use super::{Command, Wanted};
use crate::{
    digest::{Digest, digest},
    may::Action,
    outcome::{Changed, Outcome, Refusal},
    room::Room,
    stored::{Made, Named, Row},
};

/// How often a message may be edited.
const MAX_EDITS: i16 = 20;

/// A change of a message on behalf of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeMessage {
    /// The match.
    pub match_id: MatchId,
    /// The member who asks for the change.
    pub actor: UserId,
    /// The message.
    pub seq: i64,
    /// The actor's own name for this command.
    pub client_id: Option<ClientId>,
    /// How the message is to change.
    pub change: MessageChange,
    /// For how long it may be done after the message was sent.
    pub windows: Windows,
}

/// How a message is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// It is to have this body, canonical JSON.
    Edit(String),
    /// It is to be deleted for everyone.
    Delete,
    /// This emoji is to be the actor's reaction, or is not to be it.
    React(String, bool),
}

/// For how long messages may be changed by their senders; no time at all turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Edited.
    pub edit: Duration,
    /// Deleted for everyone.
    pub unsend: Duration,
}

impl Command for ChangeMessage {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn bytes(&self) -> usize {
        match &self.change {
            MessageChange::Edit(body) => body.len(),
            MessageChange::Delete | MessageChange::React(..) => 0,
        }
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        let id = self.match_id.as_str();
        wanted.by_seq.insert((id, self.seq));
        wanted.hidden.insert((id, self.seq));
        if let Some(client_id) = &self.client_id {
            wanted.commands.insert((id, self.actor.as_str(), client_id.as_str()));
        }
    }

    fn decide(&self, room: &mut Room) -> Outcome {
        Outcome::Changed(self.change(room))
    }
}

impl ChangeMessage {
    /// A repeat is told *before* anything refuses it, and undoes nothing that came later. So what a command was
    /// answered is noted also when it had nothing to do.
    fn change(&self, room: &mut Room) -> Result<Changed, Refusal> {
        room.may(&self.actor, Action::Read)?;
        let content = self.content();
        if let Some(repeated) = self.repeated(&content, room) {
            return repeated;
        }
        let row = room.message_for(&self.actor, self.seq).ok_or(Code::MessageNotFound)?;
        let is_own = row.message.sender_id == self.actor.as_str();
        if !is_own && !matches!(self.change, MessageChange::React(..)) {
            return Err(Code::Forbidden.into());
        }
        let changed = if self.is_so(row)? {
            Changed { change: Change { rev: room.head().rev, ..Change::default() }, is_new: false }
        } else {
            self.check_time(row, room.head().now_ms)?;
            room.may(&self.actor, Action::Send)?;
            let change = room.change_message(self.seq, |row| self.alter(row)).ok_or(Code::MessageNotFound)?;
            Changed { change, is_new: true }
        };
        if let Some(client_id) = self.client_id.clone() {
            let Change { rev, after_seq, created_at_ms, .. } = changed.change;
            let made = changed.is_new.then_some(Made { after_seq, created_at_ms });
            room.note_command(Named { user: self.actor.clone(), client_id, content, rev, made });
        }
        Ok(changed)
    }

    /// The digest of the change that is asked for. It tells a repeat from another command of the same name.
    fn content(&self) -> Digest {
        let seq = self.seq.to_string();
        match &self.change {
            MessageChange::Edit(body) => digest(&["edit", &seq, body]),
            MessageChange::Delete => digest(&["delete", &seq]),
            MessageChange::React(emoji, on) => digest(&["react", &seq, emoji, if *on { "on" } else { "off" }]),
        }
    }

    /// The earlier answer to this command, if it is a repeat; a refusal, if its name was given to another command.
    fn repeated(&self, content: &Digest, room: &mut Room) -> Option<Result<Changed, Refusal>> {
        let named = room.command(&self.actor, self.client_id.as_ref()?)?.clone();
        if named.content != *content {
            return Some(Err(Code::IdempotencyConflict.into()));
        }
        let mut change = Change { rev: named.rev, ..Change::default() };
        if let (Some(made), Some(row)) = (named.made, room.message_at(self.seq)) {
            (change.after_seq, change.created_at_ms) = (made.after_seq, made.created_at_ms);
            change.kind = Some(self.kind(row));
            room.repeat_change(&change);
        }
        Some(Ok(Changed { change, is_new: false }))
    }

    /// Whether the message is already what it is to be.
    fn is_so(&self, row: &Row) -> Result<bool, Refusal> {
        let message = &row.message;
        let is_deleted = message.deleted;
        match &self.change {
            MessageChange::Delete => Ok(is_deleted),
            MessageChange::Edit(_) | MessageChange::React(..) if is_deleted => Err(Code::MessageDeleted.into()),
            MessageChange::Edit(body) => Ok(message.body == *body),
            MessageChange::React(emoji, on) => {
                let mut reactions = message.reactions.iter();
                let is_on = reactions.any(|of| of.user_id == self.actor.as_str() && of.emoji == *emoji);
                Ok(is_on == *on)
            }
        }
    }

    fn check_time(&self, row: &Row, now_ms: i64) -> Result<(), Refusal> {
        let window = match self.change {
            MessageChange::Edit(_) if row.edits >= MAX_EDITS => Duration::ZERO,
            MessageChange::Edit(_) => self.windows.edit,
            MessageChange::Delete => self.windows.unsend,
            MessageChange::React(..) => return Ok(()),
        };
        let age_ms = u128::try_from(now_ms.saturating_sub(row.message.created_at_ms)).unwrap_or(0);
        if age_ms < window.as_millis() { Ok(()) } else { Err(Code::WindowPassed.into()) }
    }

    fn alter(&self, row: &mut Row) -> Kind {
        let message = &mut row.message;
        match &self.change {
            MessageChange::Edit(body) => {
                message.body.clone_from(body);
                row.edits += 1;
            }
            MessageChange::Delete => {
                message.body.clear();
                message.reactions.clear();
                message.deleted = true;
            }
            MessageChange::React(emoji, on) => {
                message.reactions.retain(|of| of.user_id != self.actor.as_str());
                if *on {
                    message.reactions.push(Reaction { user_id: self.actor.to_string(), emoji: emoji.clone() });
                    message.reactions.sort_by(|a, b| a.user_id.cmp(&b.user_id));
                }
            }
        }
        self.kind(row)
    }

    /// How the change that has led to this row is told.
    fn kind(&self, row: &Row) -> Kind {
        let (seq, actor, message) = (self.seq, self.actor.to_string(), &row.message);
        match self.change {
            MessageChange::Edit(_) => Kind::Edited(Edited { seq, actor, body: message.body.clone() }),
            MessageChange::Delete => Kind::Deleted(Deleted { seq, actor }),
            MessageChange::React(..) => Kind::Reacted(Reacted { seq, actor, reactions: message.reactions.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
