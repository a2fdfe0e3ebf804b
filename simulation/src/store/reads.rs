//! Reads: each sees one moment.

use std::rc::Rc;

use chat_service::audience::Audience;
use proto::{
    MatchId,
    chat::{Match, MatchHead, Message, Milestone},
};

use super::Store;
use crate::network::Away;

/// A match with a page of its messages, of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) members: Vec<String>,
    pub(crate) members_rev: i64,
    pub(crate) last_seq: i64,
    pub(crate) closed: bool,
    pub(crate) rev: i64,
    pub(crate) milestones: Vec<Milestone>,
    pub(crate) messages: Vec<Message>,
    pub(crate) has_more: bool,
}

impl Snapshot {
    /// The match as chat-service tells it.
    pub(crate) fn to_match(&self, id: &MatchId) -> Match {
        Match {
            match_id: id.to_string(),
            members: self.members.clone(),
            last_seq: self.last_seq,
            created_at_ms: 0,
            closed_at_ms: self.closed.then_some(0),
            milestones: self.milestones.clone(),
            rev: self.rev,
            members_rev: self.members_rev,
        }
    }
}

impl Store {
    /// The heads of these matches.
    pub(crate) async fn heads(self: Rc<Self>, ids: Vec<String>, with_members: bool) -> Result<Vec<MatchHead>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let heads = ids.iter().filter_map(|id| Some((id, rows.get(id.as_str())?))).map(|(id, stored)| MatchHead {
                match_id: id.clone(),
                last_seq: stored.head.last_seq,
                rev: stored.head.rev,
                milestones: i32::try_from(stored.milestones.len()).unwrap_or(i32::MAX),
                closed: stored.head.closed,
                members: if with_members { stored.members() } else { Vec::new() },
                members_rev: stored.audience.version(),
            });
            heads.collect()
        })
        .await
    }

    /// The members of the match; `None` when it does not exist.
    pub(crate) async fn audience(&self, id: &MatchId) -> Result<Option<Audience>, Away> {
        self.trip(|store| store.rows.borrow().get(id).map(|stored| stored.audience.clone())).await
    }

    /// The match, and at most `limit` messages after `since`.
    pub(crate) async fn get_match(
        self: Rc<Self>,
        id: MatchId,
        since: Option<i64>,
        limit: usize,
    ) -> Result<Option<Snapshot>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let stored = rows.get(&id)?;
            let after = since.map_or(usize::MAX, |since| usize::try_from(since).unwrap_or(usize::MAX));
            let rest = stored.messages.iter().skip(after);
            Some(Snapshot {
                members: stored.members(),
                members_rev: stored.audience.version(),
                last_seq: stored.head.last_seq,
                closed: stored.head.closed,
                rev: stored.head.rev,
                milestones: stored.milestones.iter().map(|recorded| recorded.milestone.clone()).collect(),
                has_more: rest.len() > limit,
                messages: rest.take(limit).map(|row| row.message.clone()).collect(),
            })
        })
        .await
    }

    /// The heads of the matches with messages of a Unix time or newer.
    pub(crate) async fn heads_moved_since(&self, since_ms: i64) -> Result<Vec<(MatchId, i64)>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let moved = rows
                .iter()
                .filter(|(_, stored)| stored.messages.iter().any(|row| row.message.created_at_ms >= since_ms));
            moved.map(|(id, stored)| (id.clone(), stored.head.last_seq)).collect()
        })
        .await
    }

    /// Its clock, as Unix time.
    pub(crate) async fn now_ms(&self) -> Result<i64, Away> {
        self.trip(|store| store.sim.now_ms()).await
    }

    /// One trip to the database: `look` happens there, at one moment.
    pub(super) async fn trip<T>(&self, look: impl FnOnce(&Self) -> T) -> Result<T, Away> {
        self.sim.sleep(self.net.delay()).await;
        if !self.is_up() {
            return Err(Away);
        }
        let seen = look(self);
        self.sim.sleep(self.net.delay()).await;
        Ok(seen)
    }
}
