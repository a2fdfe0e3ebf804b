//! Reads, as chat-service answers them: each sees one moment. There is `None` where no match is, or for a stranger.

use std::rc::Rc;

use chat_service::audience::Audience;
use gateway_core::output::Since;
use proto::{
    MatchId, UserId,
    chat::{
        Change, GetMatchResponse, ListChangesResponse, ListMessagesResponse, Match, MatchHead, Message, change::Kind,
    },
};

use super::{EPOCH, Store, Stored};
use crate::network::Away;

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
                ..MatchHead::default()
            });
            heads.collect()
        })
        .await
    }

    /// The members of the match.
    pub(crate) async fn audience(&self, id: &MatchId) -> Result<Option<Audience>, Away> {
        self.trip(|store| store.rows.borrow().get(id).map(|stored| stored.audience.clone())).await
    }

    /// The match, with messages and changes.
    pub(crate) async fn get_match(
        self: Rc<Self>,
        id: MatchId,
        Since { seq, rev, limit }: Since,
    ) -> Result<Option<GetMatchResponse>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let stored = rows.get(&id)?;
            let (messages, has_more) = stored.page(seq.unwrap_or(i64::MAX), limit);
            let (changes, limited) = stored.log(rev.unwrap_or(i64::MAX), limit);
            let (r#match, epoch) = (Some(stored.to_match(&id)), EPOCH.to_owned());
            let none = GetMatchResponse::default();
            Some(GetMatchResponse { r#match, messages, has_more, epoch, changes, limited, ..none })
        })
        .await
    }

    /// At most `limit` messages after a seq, for a member.
    pub(crate) async fn list_messages(
        self: Rc<Self>,
        (id, user): (MatchId, UserId),
        after: i64,
        limit: i32,
    ) -> Result<Option<ListMessagesResponse>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let stored = rows.get(&id).filter(|stored| stored.audience.has(&user))?;
            let (messages, has_more) = stored.page(after, limit);
            let last = messages.last().filter(|_| has_more);
            let through_seq = Some(last.map_or(stored.head.last_seq, |last| last.seq));
            let (through_rev, notes) = (Some(stored.head.rev), Vec::new());
            Some(ListMessagesResponse { messages, has_more, through_seq, through_rev, notes })
        })
        .await
    }

    /// At most `limit` changes after a rev, for a member.
    pub(crate) async fn list_changes(
        self: Rc<Self>,
        (id, user): (MatchId, UserId),
        after: i64,
        limit: i32,
    ) -> Result<Option<ListChangesResponse>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let stored = rows.get(&id).filter(|stored| stored.audience.has(&user))?;
            let (changes, has_more) = stored.log(after, limit);
            let last = changes.last().filter(|_| has_more);
            let through_rev = last.map_or(stored.head.rev, |last| last.rev);
            let oldest_rev = stored.changes.first().map_or(0, |first| first.rev);
            Some(ListChangesResponse { through_rev, changes, has_more, oldest_rev })
        })
        .await
    }

    /// The heads of the matches with messages of a Unix time or newer.
    pub(crate) async fn heads_moved_since(&self, since_ms: i64) -> Result<Vec<(MatchId, i64)>, Away> {
        let has_moved = |stored: &Stored| stored.messages.iter().any(|row| row.message.created_at_ms >= since_ms);
        self.trip(|store| {
            let rows = store.rows.borrow();
            let moved = rows.iter().filter(|(_, stored)| has_moved(stored));
            moved.map(|(id, stored)| (id.clone(), stored.head.last_seq)).collect()
        })
        .await
    }

    /// Its clock, as Unix time.
    pub(crate) async fn now_ms(&self) -> Result<i64, Away> {
        self.trip(|store| store.sim.now_ms()).await
    }
}

impl Stored {
    fn to_match(&self, id: &MatchId) -> Match {
        Match {
            match_id: id.to_string(),
            members: self.members(),
            last_seq: self.head.last_seq,
            created_at_ms: 0,
            closed_at_ms: self.head.closed.then_some(0),
            milestones: self.milestones.iter().map(|recorded| recorded.milestone.clone()).collect(),
            rev: self.head.rev,
            members_rev: self.audience.version(),
            group: None,
        }
    }

    /// Messages after a seq, and whether more follow.
    fn page(&self, after: i64, limit: i32) -> (Vec<Message>, bool) {
        let rest = self.messages.iter().skip(usize::try_from(after).unwrap_or(usize::MAX));
        cut(rest.map(|row| &row.message), limit)
    }
}

impl Stored {
    /// Changes after a rev, with messages as they are now.
    fn log(&self, after: i64, limit: i32) -> (Vec<Change>, bool) {
        let rest = self.changes.iter().filter(|change| change.rev > after);
        let (mut changes, has_more) = cut(rest, limit);
        for change in &mut changes {
            if let Some(Kind::Reacted(reacted)) = &mut change.kind {
                reacted.reactions = self.row(reacted.seq).map(|row| row.message.reactions.clone()).unwrap_or_default();
            }
        }
        (changes, has_more)
    }
}

/// The first ones, and whether there are more.
fn cut<'a, T: Clone + 'a>(rest: impl IntoIterator<Item = &'a T>, limit: i32) -> (Vec<T>, bool) {
    let (mut rest, limit) = (rest.into_iter(), usize::try_from(limit).unwrap_or_default());
    let first = rest.by_ref().take(limit).cloned().collect();
    (first, rest.next().is_some())
}
