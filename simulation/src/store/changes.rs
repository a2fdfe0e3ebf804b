//! The log of what changed in a match besides its messages, as it is read.

use std::rc::Rc;

use proto::{
    MatchId,
    chat::{Change, ListChangesResponse},
};

use super::Store;
use crate::network::Away;

impl Store {
    /// At most `limit` changes after a rev, as chat-service lists them.
    pub(crate) async fn changes(
        self: Rc<Self>,
        id: MatchId,
        after: i64,
        limit: usize,
    ) -> Result<ListChangesResponse, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let Some(stored) = rows.get(&id) else { return ListChangesResponse::default() };
            let mut changes: Vec<Change> = stored.changes.iter().filter(|change| change.rev > after).cloned().collect();
            let has_more = changes.len() > limit;
            changes.truncate(limit);
            let last = changes.last().filter(|_| has_more);
            ListChangesResponse { through_rev: last.map_or(stored.head.rev, |last| last.rev), changes, has_more }
        })
        .await
    }

    /// Behind which message a milestone was recorded, by the number of messages that reaches it.
    pub(crate) fn recorded_after(&self, id: &MatchId, threshold: i64) -> Option<i64> {
        let rows = self.rows.borrow();
        let mut milestones = rows.get(id)?.milestones.iter().map(|recorded| &recorded.milestone);
        milestones.find(|milestone| milestone.threshold == threshold).map(|milestone| milestone.after_seq)
    }
}
