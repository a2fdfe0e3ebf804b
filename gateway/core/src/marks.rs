//! How far a user has read and received chats, on its way to chat-service: what comes for one chat within a second goes
//! together.

use std::time::{Duration, Instant};

use proto::MatchId;

use crate::{
    output::{Ask, Output, SocketId, Timer},
    reply::Reply,
    several::Several,
    step::{Limits, Step},
};

/// How often a chat's marks are sent at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pause when chat-service does not answer.
const PAUSE_UNKNOWN: Duration = Duration::from_secs(5);
/// Most chats of one user with marks at work or less than a second ago, before more of `mark_delivered` are refused.
const MAX_CHATS: usize = 256;
/// Most different seqs that one request carries of a kind. Of more the lowest of the others are left out: a higher one
/// says what they say.
const MAX_SEQS: usize = 64;

/// What a user's sockets have told, chat by chat. Mostly nothing, and then it is one word.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a vector itself is three words")]
pub(crate) struct Marks(Option<Box<Vec<Marking>>>);

/// One chat's.
#[derive(Debug)]
struct Marking {
    chat: MatchId,
    /// When the last request began.
    began: Option<Instant>,
    at_work: Batch,
    waiting: Batch,
}

/// What goes together.
#[derive(Debug, Default)]
struct Batch {
    read: Vec<i64>,
    delivered: Vec<i64>,
    waiters: Vec<Waiter>,
}

/// Who waits for the outcome.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A `mark_read` of this message.
    Read(SocketId, Reply, i64),
    /// One of several chats of a `mark_delivered`.
    Several(Several),
}

impl Marks {
    /// The user has read a chat up to this message.
    pub(crate) fn read<L: Limits>(&mut self, chat: &MatchId, seq: i64, waiter: Waiter, step: &mut Step<'_, L>) {
        self.take(chat, step, |batch| {
            batch.read.push(seq);
            batch.waiters.push(waiter);
        });
    }

    /// A device of the user has a chat up to this message.
    pub(crate) fn delivered<L: Limits>(
        &mut self,
        chat: &MatchId,
        seq: i64,
        waiter: Option<Waiter>,
        step: &mut Step<'_, L>,
    ) {
        self.take(chat, step, |batch| {
            batch.delivered.push(seq);
            batch.waiters.extend(waiter);
        });
    }

    fn take<L: Limits>(&mut self, chat: &MatchId, step: &mut Step<'_, L>, add: impl FnOnce(&mut Batch)) {
        let all = self.0.get_or_insert_default();
        let index = all.iter().position(|marking| marking.chat == *chat).unwrap_or_else(|| {
            all.push(Marking { chat: chat.clone(), began: None, at_work: Batch::default(), waiting: Batch::default() });
            all.len() - 1
        });
        let marking = &mut all[index];
        add(&mut marking.waiting);
        fold(&mut marking.waiting.read);
        fold(&mut marking.waiting.delivered);
        if marking.began.is_none() {
            marking.ask(step);
        }
    }

    /// Whether there is room for so many chats more.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.0.as_ref().map_or(0, |all| all.len()) + more <= MAX_CHATS
    }

    /// chat-service has answered, or not: those who wait for it. What a device has is told again, as nobody else does.
    pub(crate) fn answered<L: Limits>(
        &mut self,
        chat: &MatchId,
        is_unknown: bool,
        step: &mut Step<'_, L>,
    ) -> Vec<Waiter> {
        let Some(marking) = self.0.iter_mut().flat_map(|all| all.iter_mut()).find(|of| of.chat == *chat) else {
            return Vec::new();
        };
        let since = marking.began.map(|began| step.at.now.saturating_duration_since(began)).unwrap_or_default();
        let pause = if is_unknown { PAUSE_UNKNOWN } else { INTERVAL.saturating_sub(since) };
        step.out.push(Output::After(pause, Timer::Mark(chat.clone())));
        let Batch { delivered, waiters, .. } = std::mem::take(&mut marking.at_work);
        if is_unknown {
            marking.waiting.delivered.extend(delivered);
            fold(&mut marking.waiting.delivered);
        }
        waiters
    }

    /// The chat's next request may begin.
    pub(crate) fn go_on<L: Limits>(&mut self, chat: &MatchId, step: &mut Step<'_, L>) {
        let Some(all) = &mut self.0 else { return };
        all.retain_mut(|marking| {
            if marking.chat != *chat {
                return true;
            }
            let goes_on = !marking.waiting.is_empty();
            if goes_on {
                marking.ask(step);
            }
            goes_on
        });
        self.0.take_if(|all| all.is_empty());
    }
}

impl Marking {
    fn ask<L: Limits>(&mut self, step: &mut Step<'_, L>) {
        self.began = Some(step.at.now);
        self.at_work = std::mem::take(&mut self.waiting);
        let Batch { read, delivered, .. } = &self.at_work;
        step.ask(Ask::Mark { chat: self.chat.clone(), read: read.clone(), delivered: delivered.clone() });
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.read.is_empty() && self.delivered.is_empty() && self.waiters.is_empty()
    }
}

/// Each seq once, and not too many.
fn fold(seqs: &mut Vec<i64>) {
    seqs.sort_unstable();
    seqs.dedup();
    if seqs.len() > MAX_SEQS {
        seqs.drain(1..=seqs.len() - MAX_SEQS);
    }
}
