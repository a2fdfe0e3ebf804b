//! What members have reported, with its evidence.

use deadpool_postgres::Transaction;
use proto::{
    MatchId, UserId,
    chat::{Evidence, ReportSummary},
};
use tokio_postgres::{Error, Row, types::ToSql};

use super::{Store, StoreError, messages::one_more_than, time::to_ms};
use crate::may::{may_read, sees_behind};

/// Messages of evidence before and behind each that is named.
const AROUND: i64 = 50;
/// Most messages of evidence of one report.
const MAX_MESSAGES: i64 = 500;
/// Most bytes of their contents: a report is read in one answer.
const MAX_BYTES: i64 = 2_000_000;
/// Most reports of one user within a day.
const MAX_A_DAY: i64 = 20;

/// The columns of [`summary`], in its order.
const SELECT: &str = "SELECT report_id, match_id, user_id, reason, note, seqs, created_at, resolved_at FROM reports";

/// What is reported.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) match_id: MatchId,
    pub(crate) user: UserId,
    pub(crate) reason: String,
    pub(crate) note: Option<String>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) key: Option<String>,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filed {
    /// It has this number, and whether it had it before.
    Report { id: i64, duplicate: bool },
    /// There is no such match, or the user is no member.
    NoMatch,
    /// A message that it names does not exist.
    NoMessage,
    /// The user has reported too often.
    TooMany,
    /// The key was used for another match.
    Conflict,
}

impl Store {
    /// Files a report with its evidence, in one transaction. Also returns the match's other member, if it has two and
    /// the user is one of them.
    pub(crate) async fn report(&self, complaint: &Complaint) -> Result<(Filed, Option<String>), StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let member = format!(
            "SELECT (SELECT CASE WHEN count(*) = 2 AND NOT m.is_group
                                 THEN max(u.user_id) FILTER (WHERE u.user_id <> $2) END
                     FROM members u WHERE u.match_id = m.match_id), {}
             FROM matches m WHERE m.match_id = $1 AND {}",
            sees_behind(2),
            may_read(2)
        );
        let parameters: [&(dyn ToSql + Sync); 2] = [&complaint.match_id.as_str(), &complaint.user.as_str()];
        let Some(row) = transaction.query_opt(&member, &parameters).await? else { return Ok((Filed::NoMatch, None)) };
        let (other, sees_behind) = (row.try_get(0)?, row.try_get(1)?);
        let filed = file(&transaction, complaint, sees_behind).await?;
        transaction.commit().await?;
        Ok((filed, other))
    }

    /// At most `limit` reports with higher numbers than `after`, and whether more follow.
    pub(crate) async fn list_reports(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<ReportSummary>, bool), StoreError> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE report_id > $1 ORDER BY report_id LIMIT $2");
        let rows = client.query(&sql, &[&after, &one_more_than(limit)]).await?;
        let reports = rows.iter().take(limit).map(summary).collect::<Result<Vec<_>, _>>()?;
        Ok((reports, rows.len() > limit))
    }

    /// A report with its evidence.
    pub(crate) async fn get_report(&self, id: i64) -> Result<Option<(ReportSummary, Vec<Evidence>)>, StoreError> {
        let client = self.client().await?;
        let Some(row) = client.query_opt(&format!("{SELECT} WHERE report_id = $1"), &[&id]).await? else {
            return Ok(None);
        };
        let sql = "SELECT seq, sender_id, body, created_at, rev FROM evidence WHERE report_id = $1 ORDER BY seq, rev";
        let rows = client.query(sql, &[&id]).await?;
        Ok(Some((summary(&row)?, rows.iter().map(evidence).collect::<Result<Vec<_>, _>>()?)))
    }

    /// Notes that a report was dealt with, when that was done first.
    pub(crate) async fn resolve_report(&self, id: i64) -> Result<Option<ReportSummary>, StoreError> {
        let client = self.client().await?;
        let sql =
            "UPDATE reports SET resolved_at = coalesce(resolved_at, date_trunc('milliseconds', clock_timestamp()))
                   WHERE report_id = $1
                   RETURNING report_id, match_id, user_id, reason, note, seqs, created_at, resolved_at";
        let row = client.query_opt(sql, &[&id]).await?;
        Ok(row.map(|row| summary(&row)).transpose()?)
    }

    /// Forgets at most `limit` reports of longer ago than `kept`, with their evidence. Returns how many.
    pub(crate) async fn forget_reports(&self, kept: std::time::Duration, limit: i64) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM reports WHERE report_id IN (
                       SELECT report_id FROM reports
                       WHERE created_at < clock_timestamp() - make_interval(secs => $1)
                       ORDER BY report_id LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(sql, &[&kept.as_secs_f64(), &limit]).await?)
    }
}

async fn file(transaction: &Transaction<'_>, complaint: &Complaint, sees_behind: i64) -> Result<Filed, Error> {
    let Complaint { match_id, user, reason, note, seqs, key } = complaint;
    let (id, user) = (match_id.as_str(), user.as_str());
    // One after the other, so that the count of a day is right and a repeat sees the first.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended('report ' || $1, 0))", &[&user]).await?;
    let before = "SELECT report_id, match_id FROM reports WHERE user_id = $1 AND key = $2";
    if let Some(row) = transaction.query_opt(before, &[&user, key]).await? {
        let is_same = row.try_get::<_, &str>(1)? == id;
        return Ok(if is_same { Filed::Report { id: row.try_get(0)?, duplicate: true } } else { Filed::Conflict });
    }
    let count = "SELECT count(*) FROM reports
                 WHERE user_id = $1 AND created_at > clock_timestamp() - interval '1 day'";
    if transaction.query_one(count, &[&user]).await?.try_get::<_, i64>(0)? >= MAX_A_DAY {
        return Ok(Filed::TooMany);
    }
    let there = "SELECT count(*) FROM messages WHERE match_id = $1 AND seq = ANY ($2) AND seq > $3";
    let there: i64 = transaction.query_one(there, &[&id, seqs, &sees_behind]).await?.try_get(0)?;
    if usize::try_from(there) != Ok(seqs.len()) {
        return Ok(Filed::NoMessage);
    }
    let insert = "INSERT INTO reports (match_id, user_id, key, reason, note, seqs, created_at)
                  VALUES ($1, $2, $3, $4, $5, $6, date_trunc('milliseconds', clock_timestamp()))
                  RETURNING report_id";
    let report: i64 = transaction.query_one(insert, &[&id, &user, key, reason, note, seqs]).await?.try_get(0)?;
    transaction.execute(EVIDENCE, &[&report, &id, seqs, &AROUND, &MAX_MESSAGES, &MAX_BYTES, &sees_behind]).await?;
    Ok(Filed::Report { id: report, duplicate: false })
}

/// The named messages and those around them, the nearest first if they are too many; without names the newest. Each
/// with its content, which a deleted one has not, and with those that it had before. Parameters: report, match, seqs,
/// how many around each, how many in all, how many bytes in all,
/// and behind which message the reporter sees the match.
const EVIDENCE: &str = "WITH named AS (SELECT unnest($3::bigint[]) AS seq
                   UNION SELECT last_seq FROM matches WHERE match_id = $2 AND cardinality($3::bigint[]) = 0),
     near AS (
         SELECT m.seq, min(abs(m.seq - n.seq)) AS distance
         FROM named n JOIN messages m ON m.match_id = $2 AND m.seq BETWEEN n.seq - $4 AND n.seq + $4 AND m.seq > $7
         GROUP BY m.seq ORDER BY distance, m.seq LIMIT $5
     ),
     contents AS (
         SELECT m.seq, 0::bigint AS rev, m.sender_id, m.body, coalesce(m.edited_at, m.created_at) AS at, near.distance
         FROM near JOIN messages m ON m.match_id = $2 AND m.seq = near.seq WHERE m.deleted_at IS NULL
         UNION ALL
         SELECT m.seq, v.rev, m.sender_id, v.body, m.created_at, near.distance
         FROM near JOIN messages m ON m.match_id = $2 AND m.seq = near.seq
         JOIN versions v ON v.match_id = $2 AND v.seq = m.seq
     ), weighed AS (
         SELECT *, sum(octet_length(body)) OVER (ORDER BY distance, seq, rev) AS bytes FROM contents
     )
     INSERT INTO evidence (report_id, seq, rev, sender_id, body, created_at)
     SELECT $1::bigint, seq, rev, sender_id, body, at FROM weighed WHERE bytes <= $6";

fn summary(row: &Row) -> Result<ReportSummary, Error> {
    Ok(ReportSummary {
        report_id: row.try_get(0)?,
        match_id: row.try_get(1)?,
        user_id: row.try_get(2)?,
        reason: row.try_get(3)?,
        note: row.try_get(4)?,
        seqs: row.try_get(5)?,
        created_at_ms: to_ms(row.try_get(6)?),
        resolved_at_ms: row.try_get::<_, Option<_>>(7)?.map(to_ms),
    })
}

fn evidence(row: &Row) -> Result<Evidence, Error> {
    Ok(Evidence {
        seq: row.try_get(0)?,
        sender_id: row.try_get(1)?,
        body: row.try_get(2)?,
        created_at_ms: to_ms(row.try_get(3)?),
        replaced_by_rev: Some(row.try_get(4)?).filter(|rev| *rev > 0),
    })
}
