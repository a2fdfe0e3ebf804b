//! A command to a match, and what of a socket's commands is at work or waits.

use proto::{MatchId, chat};

use crate::{
    call_command::CallWork,
    lines::{Batch, Lines, Reach},
    message_command::MessageCommand,
    reply::Reply,
    turns::{Turns, Weighted},
};

/// A command to a match. `T` is what a send holds until its outcome is known.
#[derive(Debug)]
pub(crate) enum Command<T> {
    /// `send_message`.
    Send(Box<Draft<T>>),
    /// `edit_message`, `delete_message` or `react`.
    Change(Box<MessageCommand>, Reply),
    /// `join_chat`.
    Join(Join, Reply),
    /// `leave_chat`.
    Leave(Reply),
    /// `typing`, with `isTyping`.
    Typing(bool, Reply),
}

/// A message that waits to be stored.
#[derive(Debug)]
pub(crate) struct Draft<T> {
    pub(crate) content: chat::Draft,
    pub(crate) reply: Reply,
    /// Until the message is asked to be stored.
    pub(crate) ticket: Option<T>,
}

/// How a chat is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) since_seq: Option<i64>,
    pub(crate) since_rev: Option<i64>,
    pub(crate) keep_others: bool,
}

/// What of a socket's commands is at work or waits.
#[derive(Debug)]
pub(crate) struct Queues<T> {
    /// Commands to matches, in their order.
    pub(crate) lines: Lines<Command<T>>,
    /// Those at work, each with its number.
    pub(crate) at_work: Vec<(u64, Batch<Command<T>>)>,
    /// Call commands that wait.
    pub(crate) calls: Turns<crate::call_command::CallCommand>,
    /// The call command at work.
    pub(crate) call: Option<CallWork>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { lines: Lines::default(), at_work: Vec::new(), calls: Turns::default(), call: None }
    }
}

impl<T> Queues<T> {
    /// Whether nothing is at work, and so nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.at_work.is_empty() && self.call.is_none()
    }

    /// Takes the commands with this number, which are at work.
    pub(crate) fn finish(&mut self, number: u64) -> Option<Batch<Command<T>>> {
        let index = self.at_work.iter().position(|(other, _)| *other == number)?;
        Some(self.at_work.swap_remove(index).1)
    }

    /// The number of the command to a chat that waits for the message that its socket sent before.
    pub(crate) fn awaiting_own(&self) -> impl Iterator<Item = (u64, &MatchId)> {
        let waits = |batch: &Batch<Command<T>>| matches!(batch.work[..], [Command::Leave(_) | Command::Typing(..)]);
        self.at_work.iter().filter(move |(_, batch)| waits(batch)).map(|(number, batch)| (*number, &batch.chat))
    }
}

impl<T> Weighted for Command<T> {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(draft) => draft.content.body.len(),
            Self::Change(change, _) => change.bytes(),
            Self::Join(..) | Self::Leave(_) | Self::Typing(..) => 0,
        }
    }
}

impl<T> Command<T> {
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Send(_) => Reach::Message,
            Self::Change(..) => Reach::Write,
            Self::Join(join, _) if !join.keep_others => Reach::AllChats,
            Self::Join(..) | Self::Leave(_) | Self::Typing(..) => Reach::Chat,
        }
    }

    pub(crate) fn reply(&self) -> &Reply {
        match self {
            Self::Send(draft) => &draft.reply,
            Self::Change(_, reply) | Self::Join(_, reply) | Self::Leave(reply) | Self::Typing(_, reply) => reply,
        }
    }
}
