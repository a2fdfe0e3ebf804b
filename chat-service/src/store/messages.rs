//! Reading messages: pages, and what a repair needs.

use std::{pin::pin, time::Duration};

use futures_util::TryStreamExt;
use proto::{MatchId, UserId, chat::Message};
use tokio::sync::mpsc::Sender;
use tokio_postgres::{Error, Row as SqlRow};

use super::{
    Store, StoreError, reactions,
    time::{from_ms, to_ms},
};
use crate::{
    may::{may_read, sees_behind},
    stored::Row,
};

/// The columns of [`of_row`], in its order, of a `messages m`.
const SELECT: &str = "SELECT m.match_id, m.seq, m.sender_id, m.client_id, m.origin, m.body, m.created_at, m.reply_to,
     m.edited_at, m.deleted_at IS NOT NULL, m.reactions";
/// Those of [`whole_row`], to be followed by where they come from.
pub(super) const SELECT_WHOLE: &str =
    "SELECT m.match_id, m.seq, m.sender_id, m.client_id, m.origin, m.body, m.created_at, m.reply_to,
     m.edited_at, m.deleted_at IS NOT NULL, m.reactions, m.by_rest, m.edits, m.original";
/// Where among them the body is.
const BODY: usize = 5;
/// Where the seq is.
const SEQ: usize = 1;
/// Where the match's head is, if it was asked for.
const HEAD: usize = 11;
/// Where the match's rev is, if the head was asked for.
const REV: usize = 12;
/// The same of the rev of its members.
const MEMBERS_REV: usize = 13;

/// That the user, the fourth parameter, has not hidden a message.
const IS_SHOWN: &str = "NOT EXISTS (SELECT FROM hidden h WHERE h.match_id = $1 AND h.user_id = $4 AND h.seq = m.seq)";

/// A scan of two days takes longer than a message may; its reader sets the pace.
const SCAN_SETTINGS: &str =
    "SET LOCAL statement_timeout = '10min'; SET LOCAL idle_in_transaction_session_timeout = '1min'";

/// The bodies of a page take no more together: gRPC refuses messages above 4 MiB, and clients are given less at once
/// anyway.
const MAX_PAGE_BYTES: usize = 1_000_000;

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The newest messages.
    Latest,
    /// The messages just before a seq.
    Before(i64),
    /// The messages just after a seq.
    After(i64),
}

/// Messages in ascending order, and whether more lie beyond them in the page's direction.
pub(super) type MessagePage = (Vec<Message>, bool);

/// A page of messages, and how far it is complete.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Ascending.
    pub(crate) messages: Vec<Message>,
    /// Whether more lie beyond them in the page's direction.
    pub(crate) has_more: bool,
    /// Of a page after a seq: up to here it has every message that exists.
    pub(crate) through_seq: Option<i64>,
    /// The messages are shown as this rev of the match left them.
    pub(crate) through_rev: i64,
    /// The rev of the last change of the members.
    pub(crate) members_rev: i64,
}

impl Position {
    /// The statement with parameters (match, seq, count, user); its rows come in the page's direction.
    pub(super) fn statement(self) -> String {
        let (compared, direction) = match self {
            Self::Latest | Self::Before(_) => ("m.seq < $2", "DESC"),
            Self::After(_) => ("m.seq > $2", ""),
        };
        format!(
            "{SELECT} FROM messages m WHERE m.match_id = $1 AND {} AND m.seq > {} AND {IS_SHOWN} AND {compared}
             ORDER BY m.seq {direction} LIMIT $3",
            may_read(4),
            sees_behind(4)
        )
    }

    /// The statement with the match's head as a last column: one statement is one snapshot. Without messages it gives
    /// one row, whose other columns are null; without a match none.
    fn statement_with_head(self) -> String {
        let direction = if matches!(self, Self::After(_)) { "" } else { "DESC" };
        let page = self.statement();
        format!(
            "SELECT p.*, h.last_seq, h.rev, h.members_rev FROM matches h LEFT JOIN ({page}) p ON true
             WHERE h.match_id = $1 AND {} ORDER BY p.seq {direction}",
            may_read(4)
        )
    }

    /// The seq beyond which the page lies.
    pub(super) fn seq(self) -> i64 {
        match self {
            Self::Latest => i64::MAX,
            Self::Before(seq) | Self::After(seq) => seq,
        }
    }

    /// A page from the rows of [`statement`](Self::statement), which was asked for one more than the page holds.
    pub(super) fn page(self, rows: &[SqlRow], limit: usize) -> Result<MessagePage, Error> {
        let sizes = rows.iter().take(limit).map(|row| Ok(row.try_get::<_, &str>(BODY)?.len()));
        let count = fitting(&sizes.collect::<Result<Vec<_>, Error>>()?);
        let mut messages = rows[..count].iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
        if !matches!(self, Self::After(_)) {
            messages.reverse();
        }
        Ok((messages, rows.len() > count))
    }

    /// The same from the rows of [`statement_with_head`](Self::statement_with_head), of which there is at least one.
    fn listed(self, rows: &[SqlRow], limit: usize) -> Result<Listed, Error> {
        let head: i64 = rows[0].try_get(HEAD)?;
        let is_empty = rows[0].try_get::<_, Option<i64>>(SEQ)?.is_none();
        let (messages, has_more) = self.page(if is_empty { &[] } else { rows }, limit)?;
        let last = messages.last().map_or(0, |last| last.seq);
        let through_seq = if has_more { last } else { last.max(head) };
        let is_after = matches!(self, Self::After(_));
        let (through_rev, members_rev) = (rows[0].try_get(REV)?, rows[0].try_get(MEMBERS_REV)?);
        let through_seq = is_after.then_some(through_seq);
        Ok(Listed { messages, has_more, through_seq, through_rev, members_rev })
    }
}

impl Store {
    /// A page of at most `limit` messages; `None` when the match does not exist, or the user may not read it.
    pub(crate) async fn list_messages(
        &self,
        (id, user): (&MatchId, Option<&UserId>),
        position: Position,
        limit: usize,
    ) -> Result<Option<Listed>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&position.statement_with_head()).await?;
        let (id, user) = (id.as_str(), user.map(UserId::as_str));
        let rows = client.query(&statement, &[&id, &position.seq(), &one_more_than(limit), &user]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(position.listed(&rows, limit)?))
    }

    /// Hides a message from one member. Whether it was hidden before; `None` when there is no such message that this
    /// user may read.
    pub(crate) async fn hide(&self, id: &MatchId, user: &UserId, seq: i64) -> Result<Option<bool>, StoreError> {
        let client = self.client().await?;
        let sql = format!(
            "WITH found AS (SELECT FROM messages WHERE match_id = $1 AND seq = $3 AND {} AND seq > {}),
                  added AS (INSERT INTO hidden (match_id, user_id, seq) SELECT $1, $2, $3 FROM found
                            ON CONFLICT DO NOTHING RETURNING seq)
             SELECT EXISTS (SELECT FROM found), EXISTS (SELECT FROM added)",
            may_read(2),
            sees_behind(2)
        );
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_one(&statement, &[&id.as_str(), &user.as_str(), &seq]).await?;
        let (is_there, is_new): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        Ok(is_there.then_some(!is_new))
    }

    /// Forgets at most `limit` bodies that were replaced longer ago than `kept`. Returns how many. What another replica
    /// is forgetting is left to it.
    pub(crate) async fn forget_versions(&self, kept: Duration, limit: i64) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM versions WHERE (match_id, seq, rev) IN (
                       SELECT match_id, seq, rev FROM versions
                       WHERE replaced_at < clock_timestamp() - make_interval(secs => $1)
                       ORDER BY replaced_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(sql, &[&kept.as_secs_f64(), &limit]).await?)
    }

    /// Sends the heads of all matches with messages of a time or newer to `heads`, `chunk` at a time.
    pub(crate) async fn heads_moved_since(
        &self,
        since_ms: i64,
        chunk: usize,
        heads: &Sender<Vec<(MatchId, i64)>>,
    ) -> Result<(), StoreError> {
        let mut client = self.probe(&self.scans).await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(SCAN_SETTINGS).await?;
        let sql = "SELECT match_id, max(seq) FROM messages WHERE created_at >= $1 GROUP BY match_id";
        let rows = transaction.query_raw(sql, [from_ms(since_ms)]).await?;
        let mut chunks = pin!(rows.try_chunks(chunk));
        while let Some(rows) = chunks.try_next().await.map_err(|error| error.1)? {
            let moved = rows.iter().map(|row| Ok((MatchId::new(row.try_get::<_, &str>(0)?), row.try_get(1)?)));
            let moved = moved.collect::<Result<Vec<_>, Error>>()?;
            if heads.send(moved.into_iter().filter_map(|(id, seq)| Some((id.ok()?, seq))).collect()).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Sends the heads of all matches that have messages to `heads`, at most `chunk` at a time.
    pub(crate) async fn all_heads(&self, chunk: usize, heads: &Sender<Vec<(MatchId, i64)>>) -> Result<(), StoreError> {
        let limit = i64::try_from(chunk).unwrap_or(i64::MAX);
        let sql = "SELECT match_id, last_seq FROM matches WHERE match_id > $1 ORDER BY match_id LIMIT $2";
        let mut after = String::new();
        loop {
            let rows = self.client().await?.query(sql, &[&after, &limit]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.try_get(0)?;
            let page = rows.iter().map(|row| Ok((MatchId::new(row.try_get::<_, &str>(0)?), row.try_get(1)?)));
            let page = page.collect::<Result<Vec<(_, i64)>, Error>>()?;
            let begun = page.into_iter().filter_map(|(id, seq)| Some((id.ok()?, seq))).filter(|(_, seq)| *seq > 0);
            if heads.send(begun.collect()).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The newest message of each match that a user has not hidden, with parameters (matches, user); for [`of_row`].
pub(super) fn select_last() -> String {
    format!(
        "{SELECT} FROM unnest($1::text[]) AS k (match_id) CROSS JOIN LATERAL (
             SELECT * FROM messages o WHERE o.match_id = k.match_id AND o.seq > coalesce(
                 (SELECT u.from_seq FROM user_matches u WHERE u.user_id = $2 AND u.match_id = k.match_id), 0)
             AND NOT EXISTS (
                 SELECT FROM hidden h WHERE h.match_id = o.match_id AND h.user_id = $2 AND h.seq = o.seq)
             ORDER BY o.seq DESC LIMIT 1) m"
    )
}

/// How many rows to ask for to learn whether more follow a page.
pub(super) fn one_more_than(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

/// How many bodies of these sizes a page holds: at least one, so that whoever reads on comes to the end.
fn fitting(sizes: &[usize]) -> usize {
    let mut total = 0;
    let fitting = sizes.iter().take_while(|size| {
        total += **size;
        total <= MAX_PAGE_BYTES
    });
    fitting.count().max(1).min(sizes.len())
}

pub(super) fn of_row(row: &SqlRow) -> Result<Message, Error> {
    Ok(Message {
        match_id: row.try_get(0)?,
        seq: row.try_get(1)?,
        sender_id: row.try_get(2)?,
        client_id: row.try_get(3)?,
        origin: row.try_get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        body: row.try_get(BODY)?,
        created_at_ms: to_ms(row.try_get(6)?),
        reply_to: row.try_get(7)?,
        edited_at_ms: row.try_get::<_, Option<_>>(8)?.map(to_ms),
        deleted: row.try_get(9)?,
        reactions: reactions::of_json(row.try_get(10)?),
    })
}

/// A message with what only the lanes have to know of it.
pub(super) fn whole_row(row: &SqlRow) -> Result<Row, Error> {
    let original = row.try_get::<_, Option<&[u8]>>(13)?.and_then(|original| original.try_into().ok());
    Ok(Row { message: of_row(row)?, by_rest: row.try_get(11)?, edits: row.try_get(12)?, original })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_what_fits_and_at_least_one() {
        assert_eq!(fitting(&[MAX_PAGE_BYTES / 2; 3]), 2);
        assert_eq!(fitting(&[MAX_PAGE_BYTES + 1, 1]), 1);
        assert_eq!(fitting(&[1; 200]), 200);
        assert_eq!(fitting(&[]), 0);
    }
}
