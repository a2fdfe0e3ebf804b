//! A match in the answer of a sync.

use proto::{chat::SyncedMatch, signaling::Call};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    CallView, ChangeView, MessageFields, MessageView, MilestoneView, ReceiptsView, json, match_view::MembersOf,
    milestone,
};

/// Most bytes of the messages of one match, and of its changes; but at least one of each, so that reading on comes to
/// an end.
const MAX_LIST_BYTES: usize = 32 * 1024;
/// In larger matches there are no pairs.
const PAIR: usize = 2;

/// `{matchId, state, kind, members, lastSeq, rev, lastMessage, unread, me, others, milestones, unlocked, call,
/// messages, changes, hidden, limited}`; of a match that the user has left `{matchId, state: "removed"}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncedMatchView<'a> {
    match_id: &'a str,
    state: &'static str,
    #[serde(flatten)]
    shown: Option<Shown<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    members: MembersOf<'a>,
    last_seq: i64,
    rev: i64,
    last_message: Option<MessageView<'a>>,
    unread: Option<i64>,
    #[serde(flatten)]
    receipts: Option<ReceiptsView<'a>>,
    milestones: Vec<MilestoneView<'a>>,
    unlocked: Vec<&'a str>,
    call: Option<CallView<'a>>,
    messages: Vec<Box<RawValue>>,
    changes: Vec<Box<RawValue>>,
    hidden: &'a [i64],
    limited: bool,
}

impl<'a> SyncedMatchView<'a> {
    /// The view of a match, with the user's live call.
    pub fn new(synced: &'a SyncedMatch, call: Option<&'a Call>, fields: MessageFields) -> Self {
        let messages = synced.messages.iter().map(|message| json::to_json(&MessageView::new(message, fields)));
        let changes = synced.changes.iter().map(|of| json::to_json(&ChangeView::new(&synced.match_id, of)));
        let (messages, changes) = (fitting(messages), fitting(changes));
        let last = synced.last_message.as_ref().map(|last| MessageView::new(last, fields));
        let mut view = Self::without_content(synced, call);
        if let Some(shown) = &mut view.shown {
            shown.limited =
                synced.limited || messages.len() < synced.messages.len() || changes.len() < synced.changes.len();
            (shown.messages, shown.changes, shown.last_message) = (messages, changes, last);
        }
        view
    }

    /// The same of a match whose messages and changes are too large to be shown with the others.
    pub fn without_content(synced: &'a SyncedMatch, call: Option<&'a Call>) -> Self {
        let Some(of) = &synced.r#match else {
            return Self { match_id: &synced.match_id, state: "removed", shown: None };
        };
        let receipts = synced.receipts.as_ref().map(ReceiptsView::new);
        let shown = Shown {
            kind: if of.group.is_some() || of.members.len() > PAIR { "group" } else { "pair" },
            title: of.group.as_ref().and_then(|group| group.title.as_deref()),
            members: MembersOf::new(of),
            last_seq: of.last_seq,
            rev: of.rev,
            last_message: None,
            unread: receipts.as_ref().map(|receipts| receipts.me.unread),
            receipts,
            milestones: MilestoneView::list(&of.milestones),
            unlocked: milestone::unlocked(&of.milestones),
            call: call.filter(|call| call.match_id == synced.match_id).map(CallView::new),
            messages: Vec::new(),
            changes: Vec::new(),
            hidden: &synced.hidden,
            limited: true,
        };
        let state = if of.closed_at_ms.is_some() { "closed" } else { "open" };
        Self { match_id: &synced.match_id, state, shown: Some(shown) }
    }
}

/// The first of these, as many as fit.
fn fitting(views: impl Iterator<Item = String>) -> Vec<Box<RawValue>> {
    let (mut fitting, mut bytes) = (Vec::new(), 0);
    for view in views {
        bytes += view.len();
        if bytes > MAX_LIST_BYTES && !fitting.is_empty() {
            break;
        }
        fitting.extend(RawValue::from_string(view));
    }
    fitting
}
