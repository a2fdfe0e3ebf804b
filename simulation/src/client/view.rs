//! What a client knows of its chats.

use std::collections::{BTreeMap, BTreeSet};

use promises::Known;
use proto::client::{both, event};

use super::heard::Heard;
use crate::calls::Calls;

/// A join that waits for its ack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) chat: usize,
    pub(super) since_seq: Option<i64>,
    pub(super) keep_others: bool,
    /// What anybody knew when it was asked for.
    pub(super) known: Known,
}

/// A join whose ack has told this.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckedJoin {
    pub(super) asked: Asked,
    pub(super) last_seq: i64,
    pub(super) rev: i64,
    /// How many were reached.
    pub(super) milestones: usize,
}

/// What a client knows.
#[derive(Default)]
pub(super) struct View {
    /// The chats that its socket has joined.
    pub(super) joined: BTreeSet<usize>,
    /// Joins that were acked and whose `chat_joined` follows.
    pub(super) acked_joins: Vec<AckedJoin>,
    /// The messages it has.
    known: BTreeMap<usize, BTreeSet<i64>>,
    /// Where it began to collect them: what is older it does not ask for.
    floors: BTreeMap<usize, i64>,
    /// Who is shown as typing in which chat, on this connection.
    pub(super) typists: BTreeSet<(usize, String)>,
    /// The steps of calls that it was told of, as long as it is recovered.
    pub(super) calls: BTreeSet<(String, &'static str)>,
    /// The message behind which the last change stands that it was told of: all up to it came before.
    changed_after: BTreeMap<usize, i64>,
    /// The rev of the last change of a message that it was told of, or that its join showed.
    told_revs: BTreeMap<usize, i64>,
    /// The reactions to messages, as it was last told of them, and which rev of the match that was; of those of which
    /// it may have missed some nothing.
    shown: BTreeMap<(usize, i64), (i64, String)>,
    /// Calls that rang here and were over when it connected: of these ends it must be told.
    pub(super) missed_ends: BTreeSet<String>,
}

impl View {
    /// The client begins to collect a chat's messages after `last_seq`, unless it does so already.
    pub(super) fn begin(&mut self, chat: usize, last_seq: i64) {
        self.floors.entry(chat).or_insert(last_seq);
    }

    /// Whether its socket has joined a chat, or the join was acked.
    pub(super) fn is_joining(&self, chat: usize) -> bool {
        self.joined.contains(&chat) || self.acked_joins.iter().any(|join| join.asked.chat == chat)
    }

    /// The client has connected: the last call that it heard of may be over. Of earlier ones nothing is told any more.
    pub(super) fn note_missed_ends(&mut self, calls: &Calls) {
        // Their ids are in the order of their beginnings.
        let last = self.calls.iter().map(|(id, _)| id).max();
        let has = |id: &String, step| self.calls.contains(&(id.clone(), step));
        let is_missed =
            |id: &&String| has(id, event::VIDEO_CALL_INCOMING) && !has(id, both::VIDEO_CALL_ENDED) && calls.is_over(id);
        self.missed_ends = last.filter(is_missed).cloned().into_iter().collect();
    }

    /// The client has a message.
    pub(super) fn know(&mut self, chat: usize, seq: i64) {
        self.known.entry(chat).or_default().insert(seq);
    }

    /// The client was told of a change behind this message.
    pub(super) fn changed(&mut self, chat: usize, after_seq: i64) {
        let changed_after = self.changed_after.entry(chat).or_default();
        *changed_after = after_seq.max(*changed_after);
    }

    /// Behind which message the last change stands that the client was told of.
    pub(super) fn changed_after(&self, chat: usize) -> i64 {
        self.changed_after.get(&chat).copied().unwrap_or_default()
    }

    /// The rev of the last change that the client knows of.
    pub(super) fn told_rev(&self, chat: usize) -> i64 {
        self.told_revs.get(&chat).copied().unwrap_or_default()
    }

    /// The client knows of all changes up to this one.
    pub(super) fn tell_rev(&mut self, chat: usize, rev: i64) {
        self.told_revs.insert(chat, rev);
    }

    /// A message, or a change of one, shows what it was at a rev of its match. A page that was read before is late.
    pub(super) fn show(&mut self, chat: usize, heard: &Heard, rev: i64) {
        let reactions = heard.reactions.as_ref().map_or("{}", |reactions| reactions.get());
        let shown = self.shown.entry((chat, heard.seq)).or_default();
        if shown.0 <= rev {
            *shown = (rev, reactions.to_owned());
        }
    }

    /// The client has missed changes of a chat.
    pub(super) fn forget_shown(&mut self, chat: usize) {
        self.shown.retain(|(of, _), _| *of != chat);
    }

    /// What is shown of messages.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&(usize, i64), &String)> {
        self.shown.iter().map(|(of, (_, reactions))| (of, reactions))
    }

    /// The seq up to which the client has everything; `None` before it has begun.
    pub(super) fn complete_to(&self, chat: usize) -> Option<i64> {
        let floor = *self.floors.get(&chat)?;
        let known = self.known.get(&chat).into_iter().flatten();
        Some(known.fold(floor, |end, seq| if *seq == end + 1 { *seq } else { end }))
    }
}
