//! Changes of a match: entries of `changes`, and `message_changed`.

use proto::{
    chat::{Change, Deleted, Edited, Reacted, change::Kind},
    rfc3339,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{MilestoneView, ReactionsView, json::raw, membership::MembersView};

/// `{matchId, rev, kind, afterSeq, createdAt, …}`, with what the kind has to tell. A change of which the reader may see
/// nothing, or whose kind only a later version knows, is `{matchId, rev}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeView<'a> {
    match_id: &'a str,
    rev: i64,
    #[serde(flatten)]
    told: Option<Told<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    kind: &'static str,
    after_seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(flatten)]
    of: Of<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Of<'a> {
    Milestone(MilestoneView<'a>),
    Membership(MembersView<'a>),
    Closing {},
    Message(OfMessage<'a>),
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfMessage<'a> {
    seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<ReactionsView<'a>>,
    by: &'a str,
}

impl<'a> ChangeView<'a> {
    /// An entry of `changes`.
    pub fn new(match_id: &'a str, change: &'a Change) -> Self {
        let told = change.kind.as_ref().map(|kind| {
            let (kind, of) = told(kind, change.created_at_ms);
            Told { kind, after_seq: change.after_seq, created_at: Some(rfc3339::write(change.created_at_ms)), of }
        });
        Self { match_id, rev: change.rev, told }
    }

    /// The argument of `message_changed`: `{matchId, rev, kind, afterSeq, seq, message?, editedAt?, reactions?, by}`.
    pub fn event(match_id: &'a str, change: &'a Change) -> Self {
        let mut view = Self::new(match_id, change);
        if let Some(told) = &mut view.told {
            told.created_at = None;
        }
        view
    }
}

fn told(kind: &Kind, created_at_ms: i64) -> (&'static str, Of<'_>) {
    match kind {
        Kind::Milestone(milestone) => ("milestone", Of::Milestone(MilestoneView::new(milestone))),
        Kind::Membership(membership) => ("membership", Of::Membership(MembersView::new(membership))),
        Kind::Closing(_) => ("closing", Of::Closing {}),
        Kind::Edited(Edited { seq, actor, body }) => {
            // Who reads of it after the message was deleted is told no content.
            let message = (!body.is_empty()).then(|| raw(body));
            let edited_at = Some(rfc3339::write(created_at_ms));
            ("edited", Of::Message(OfMessage { seq: *seq, by: actor, message, edited_at, reactions: None }))
        }
        Kind::Deleted(Deleted { seq, actor }) => {
            ("deleted", Of::Message(OfMessage { seq: *seq, by: actor, ..OfMessage::default() }))
        }
        Kind::Reacted(Reacted { seq, actor, reactions }) => {
            let reactions = Some(ReactionsView::new(reactions));
            ("reactions", Of::Message(OfMessage { seq: *seq, by: actor, reactions, ..OfMessage::default() }))
        }
    }
}
