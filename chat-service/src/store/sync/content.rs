//! What a sync tells of each match.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use futures_util::future::{join_all, try_join3, try_join4};
use proto::{
    UserId,
    chat::{Change, Match, Message, Milestone, Receipts, SyncedMatch},
};
use tokio_postgres::{Error, Row};

use super::{
    page::is_new,
    wish::{Found, Known},
};
use crate::store::{
    changes::{self, ListedChanges},
    matches,
    messages::{self, MessagePage, Position, one_more_than},
    milestones, positions,
};

/// Most changes of a match.
const MAX_CHANGES: usize = 200;
/// The statements of so many matches are under way at once.
const AT_ONCE: usize = 8;
/// When the bodies of a page take so much together, it ends: clients are given less at once anyway.
const ENOUGH_BYTES: usize = 128 * 1024;
/// Most messages of a match that are told to be hidden now.
const MAX_HIDDEN: usize = 1_000;

/// What is asked for.
pub(super) struct Content<'a> {
    pub(super) user: &'a UserId,
    pub(super) known: &'a Known,
    pub(super) messages: usize,
    /// The transaction from which on rows are new.
    pub(super) since: Option<u32>,
}

/// What of the matches of a page one statement each has read.
struct Heads {
    matches: HashMap<String, Match>,
    last: HashMap<String, Message>,
    receipts: HashMap<String, Receipts>,
}

/// What is new in a match.
#[derive(Default)]
struct News {
    messages: Vec<Message>,
    changes: Vec<Change>,
    hidden: Vec<i64>,
    limited: bool,
}

impl Content<'_> {
    /// What is told of these matches, as many from the first on as a page holds.
    pub(super) async fn of(&self, transaction: &Transaction<'_>, found: &[Found]) -> Result<Vec<SyncedMatch>, Error> {
        let mut heads = self.heads(transaction, found).await?;
        let (mut synced, mut bytes) = (Vec::with_capacity(found.len()), 0);
        for some in found.chunks(AT_ONCE) {
            let news = some.iter().map(|found| self.news(transaction, heads.matches.get(&found.place.match_id)));
            for (found, news) in some.iter().zip(join_all(news).await) {
                let next = heads.take(found, news?);
                bytes += size(&next);
                if bytes > ENOUGH_BYTES && !synced.is_empty() {
                    return Ok(synced);
                }
                synced.push(next);
            }
        }
        Ok(synced)
    }

    async fn heads(&self, transaction: &Transaction<'_>, found: &[Found]) -> Result<Heads, Error> {
        let ids: Vec<&str> =
            found.iter().filter(|found| !found.is_gone).map(|found| found.place.match_id.as_str()).collect();
        let (ids, user) = (&ids, self.user.as_str());
        let rows = async |sql: String, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]| {
            let statement = transaction.prepare_cached(&sql).await?;
            transaction.query(&statement, parameters).await
        };
        let (matches, reached, receipts, last) = try_join4(
            rows(matches::select_of_ids(), &[ids]),
            rows(milestones::select_of_matches(), &[ids]),
            rows(positions::select_receipts(), &[ids, &user]),
            rows(messages::select_last(), &[ids, &user]),
        )
        .await?;
        let last = last.iter().map(messages::of_row).map(|last| last.map(|last| (last.match_id.clone(), last)));
        let receipts = positions::receipts(&receipts)?.into_iter().map(|of| (of.match_id.clone(), of));
        Ok(Heads {
            matches: with_milestones(&matches, &reached)?,
            last: last.collect::<Result<_, _>>()?,
            receipts: receipts.collect(),
        })
    }

    /// What the caller has not of a match; nothing of one that the user has left.
    async fn news(&self, transaction: &Transaction<'_>, of: Option<&Match>) -> Result<News, Error> {
        let Some(of) = of else { return Ok(News::default()) };
        let known = self.known.get(&of.match_id);
        let position = known.map_or(Position::Latest, |(seq, _)| Position::After(*seq));
        let has_new = of.last_seq > known.map_or(0, |(seq, _)| *seq);
        let rev = known.map(|(_, rev)| *rev).filter(|rev| *rev < of.rev);
        let page = async {
            if self.messages == 0 || !has_new {
                Ok((Vec::new(), has_new))
            } else {
                self.page(transaction, of, position).await
            }
        };
        let log = self.log(transaction, of, rev);
        let hidden = self.hidden(transaction, of, known.is_some());
        let ((messages, more), (changes, more_changes), (hidden, more_hidden)) = try_join3(page, log, hidden).await?;
        Ok(News { messages, changes, hidden, limited: more || more_changes || more_hidden })
    }

    async fn page(&self, transaction: &Transaction<'_>, of: &Match, position: Position) -> Result<MessagePage, Error> {
        let statement = transaction.prepare_cached(&position.statement()).await?;
        let (seq, count, user) = (position.seq(), one_more_than(self.messages), Some(self.user.as_str()));
        let rows = transaction.query(&statement, &[&of.match_id, &seq, &count, &user]).await?;
        position.page(&rows, self.messages)
    }

    /// The changes after a rev, and whether more follow.
    async fn log(
        &self,
        transaction: &Transaction<'_>,
        of: &Match,
        rev: Option<i64>,
    ) -> Result<(Vec<Change>, bool), Error> {
        let Some(rev) = rev else { return Ok((Vec::new(), false)) };
        let statement = transaction.prepare_cached(&changes::statement()).await?;
        let (count, user) = (one_more_than(MAX_CHANGES), Some(self.user.as_str()));
        let rows = transaction.query(&statement, &[&of.match_id, &rev, &count, &user]).await?;
        let listed = ListedChanges::of(&rows, MAX_CHANGES)?;
        Ok(listed.map_or((Vec::new(), false), |listed| (listed.changes, listed.has_more)))
    }

    /// What the user has hidden since of a match that is known, and whether there is more: its pages lack it already.
    async fn hidden(
        &self,
        transaction: &Transaction<'_>,
        of: &Match,
        is_known: bool,
    ) -> Result<(Vec<i64>, bool), Error> {
        if !is_known {
            return Ok((Vec::new(), false));
        }
        let sql = format!(
            "SELECT h.seq FROM hidden h WHERE h.match_id = $1 AND ($2::text IS NULL OR {}) AND h.user_id = $3
             ORDER BY h.seq LIMIT $4",
            is_new("h")
        );
        let statement = transaction.prepare_cached(&sql).await?;
        let (since, user) = (self.since.map(|since| since.to_string()), self.user.as_str());
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&of.match_id, &since, &user, &one_more_than(MAX_HIDDEN)];
        let rows = transaction.query(&statement, &parameters).await?;
        let seqs = rows.iter().take(MAX_HIDDEN).map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok((seqs, rows.len() > MAX_HIDDEN))
    }
}

impl Heads {
    fn take(&mut self, found: &Found, News { messages, changes, hidden, limited }: News) -> SyncedMatch {
        let match_id = found.place.match_id.clone();
        SyncedMatch {
            r#match: self.matches.remove(&match_id),
            last_message: self.last.remove(&match_id),
            receipts: self.receipts.remove(&match_id),
            messages,
            changes,
            hidden,
            limited,
            match_id,
            token: String::new(),
        }
    }
}

fn with_milestones(rows: &[Row], reached: &[Row]) -> Result<HashMap<String, Match>, Error> {
    let mut of: HashMap<String, Vec<Milestone>> = HashMap::new();
    for milestone in reached.iter().map(milestones::of_row) {
        let (id, milestone) = milestone?;
        of.entry(id).or_default().push(milestone);
    }
    let matches = rows.iter().map(|row| {
        let id: String = row.try_get(0)?;
        let milestones = of.remove(&id).unwrap_or_default();
        Ok((id, matches::of_row(row, milestones)?))
    });
    matches.collect()
}

/// What a match takes.
fn size(of: &SyncedMatch) -> usize {
    let messages = of.messages.iter().chain(&of.last_message).map(|message| message.body.len());
    let shown = of.r#match.as_ref().map(prost::Message::encoded_len);
    messages.chain(of.changes.iter().map(prost::Message::encoded_len)).chain(shown).sum()
}
