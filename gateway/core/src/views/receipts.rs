//! How far the members of a match have come.

use proto::{
    chat::{Position, Receipts},
    rfc3339,
};
use serde::Serialize;

/// `{me: {readSeq, deliveredSeq, unread}, others: [{userId, readSeq, deliveredSeq, at}]}`. `at` is `null` for who has
/// never told.
#[derive(Debug, Serialize)]
pub struct ReceiptsView<'a> {
    pub(super) me: Mine,
    others: Vec<Theirs<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mine {
    read_seq: i64,
    delivered_seq: i64,
    pub(super) unread: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Theirs<'a> {
    user_id: &'a str,
    read_seq: i64,
    delivered_seq: i64,
    at: Option<String>,
}

impl<'a> ReceiptsView<'a> {
    /// The view of what a user may see.
    pub fn new(receipts: &'a Receipts) -> Self {
        let me = receipts.me.clone().unwrap_or_default();
        let me = Mine { read_seq: me.read_seq, delivered_seq: me.delivered_seq, unread: me.unread };
        Self { me, others: receipts.others.iter().map(Theirs::new).collect() }
    }
}

impl<'a> Theirs<'a> {
    fn new(position: &'a Position) -> Self {
        let &Position { read_seq, delivered_seq, at_ms, .. } = position;
        Self { user_id: &position.user_id, read_seq, delivered_seq, at: at_ms.map(rfc3339::write) }
    }
}
