//! What a client is told of a chat that it has joined: the ack of `join_chat`, and the event that follows it.

use proto::{chat::Change, signaling::Call};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    epoch::Epoch,
    presence::{PresenceView, Shown},
    snapshot::Snapshot,
    views::{self, CallView, ChangeView, MessageFields, MilestoneView, ReceiptsView},
};

/// Most bytes of messages in an ack, and of changes: together half of what may wait for a client, as what comes next
/// must not close its transport.
const MAX_PAGE_BYTES: usize = 64 * 1024;

/// A chat that was just joined.
pub(crate) struct Joined<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) fields: MessageFields,
    /// The match's live call.
    pub(crate) call: Option<&'a Call>,
}

/// What the ack and the event have in common.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chat<'a> {
    match_id: &'a str,
    last_seq: i64,
    milestones: Vec<MilestoneView<'a>>,
    unlocked: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    ok: bool,
    #[serde(flatten)]
    chat: Chat<'a>,
    rev: i64,
    messages: Vec<&'a RawValue>,
    has_more: bool,
    notes: Vec<&'a RawValue>,
    changes: Vec<&'a RawValue>,
    limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
    call: Option<CallView<'a>>,
    presence: Option<PresenceView>,
    #[serde(flatten)]
    receipts: Option<ReceiptsView<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    success: bool,
    #[serde(flatten)]
    chat: Chat<'a>,
}

impl Joined<'_> {
    /// The ack of `join_chat`.
    pub(crate) fn ack(&self) -> String {
        let messages: Vec<String> =
            self.snapshot.messages.iter().map(|message| views::message(message, self.fields)).collect();
        let page = page(&messages);
        let chat = &self.snapshot.of.match_id;
        let changes: Vec<String> =
            self.snapshot.changes.iter().map(|change| views::to_json(&ChangeView::new(chat, change))).collect();
        let log = self::page(&changes);
        let notes = views::notes(chat, self.shown_notes(page.len()));
        views::to_json(&Ack {
            ok: true,
            chat: self.chat(),
            rev: self.snapshot.of.rev,
            messages: page.iter().map(|message| views::raw(message)).collect(),
            has_more: self.snapshot.has_more || page.len() < messages.len(),
            notes: notes.iter().map(|note| views::raw(note)).collect(),
            changes: log.iter().map(|change| views::raw(change)).collect(),
            limited: self.snapshot.limited || log.len() < changes.len(),
            epoch: self.snapshot.epoch.as_ref().map(Epoch::as_str),
            call: self.call.map(CallView::new),
            presence: Shown::of(&self.snapshot.sharing, self.snapshot.online).view(),
            receipts: self.snapshot.receipts.as_deref().map(ReceiptsView::new),
        })
    }

    /// The notes of the messages that are shown.
    fn shown_notes(&self, shown: usize) -> &[Change] {
        let Snapshot { messages, notes, .. } = self.snapshot;
        let last = messages.get(..shown).filter(|_| shown < messages.len()).and_then(<[_]>::last);
        let count = last.map_or(notes.len(), |last| notes.partition_point(|note| note.after_seq <= last.seq));
        &notes[..count]
    }

    /// The argument of `chat_joined`.
    pub(crate) fn event(&self) -> String {
        views::to_json(&Event { success: true, chat: self.chat() })
    }

    fn chat(&self) -> Chat<'_> {
        let of = &self.snapshot.of;
        Chat {
            match_id: &of.match_id,
            last_seq: of.last_seq,
            milestones: MilestoneView::list(&of.milestones),
            unlocked: views::unlocked(&of.milestones),
        }
    }
}

/// The first messages or changes, as many as one ack takes but at least one, so that paging goes on.
fn page(messages: &[String]) -> &[String] {
    let mut bytes = 0;
    let fitting = messages.iter().take_while(|message| {
        bytes += message.len();
        bytes <= MAX_PAGE_BYTES
    });
    &messages[..fitting.count().max(1).min(messages.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_takes_only_so_many_bytes_of_messages() {
        let large = vec!["x".repeat(MAX_PAGE_BYTES / 2); 5];
        assert_eq!(page(&large), &large[..2]);
        let small = vec!["x".repeat(100); 200];
        assert_eq!(page(&small), small);
        assert!(page(&[]).is_empty());
    }

    #[test]
    fn a_message_larger_than_the_limit_is_a_page_of_its_own() {
        let messages = vec!["x".repeat(MAX_PAGE_BYTES + 1); 2];
        assert_eq!(page(&messages).len(), 1);
    }
}
