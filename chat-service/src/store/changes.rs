//! The log of what changes in a match besides its new messages. The rows of matches and milestones hold the state that
//! it has led to.

use std::time::SystemTime;

use proto::{
    MatchId, UserId,
    chat::{Change, Closing, Deleted, Edited, Member, Membership, Milestone, Reacted, change::Kind},
};
use serde::Deserialize;
use tokio_postgres::{Error, Row, types::ToSql};

use super::{
    Store, StoreError,
    messages::one_more_than,
    reactions,
    time::{from_ms, to_ms},
};
use crate::{
    may::{may_read, sees_behind, sees_changes_from},
    news::Logged,
};

const MILESTONE: &str = "milestone";
const CLOSING: &str = "closing";
const MEMBERSHIP: &str = "membership";
const EDITED: &str = "edited";
const DELETED: &str = "deleted";
const REACTED: &str = "reacted";

/// What messages, and the names of members, take of a page of changes at most.
const MAX_PAGE_BYTES: usize = 64 * 1024;

/// The columns of [`logged`], in its order, of a `changes c`.
pub(super) const SELECT: &str =
    "SELECT c.match_id, c.rev, c.kind, c.seq, c.after_seq, c.body, c.created_at, c.actor FROM changes c";

/// A page of changes, and how far it is complete.
#[derive(Debug)]
pub(crate) struct ListedChanges {
    /// Ascending.
    pub(crate) changes: Vec<Change>,
    /// Up to here it has every change that exists.
    pub(crate) through_rev: i64,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// The oldest rev that is kept; 0 when there is none.
    pub(crate) oldest_rev: i64,
}

/// What the log holds of a milestone besides its columns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MilestoneBody {
    milestone_id: String,
    unlocks: Vec<String>,
}

/// The same of a change of members.
#[derive(Deserialize)]
struct MembershipBody {
    added: Vec<String>,
    removed: Vec<String>,
    /// Only in groups.
    roles: Option<Vec<(String, i32)>>,
}

/// Changes as the log holds them: the columns `match_id`, `rev`, `kind`, `seq`, `after_seq`, `body`, `created_at` and
/// `actor`.
#[derive(Default)]
pub(super) struct Columns<'a> {
    ids: Vec<&'a str>,
    revs: Vec<i64>,
    kinds: Vec<&'static str>,
    seqs: Vec<Option<i64>>,
    after_seqs: Vec<i64>,
    bodies: Vec<Option<String>>,
    times: Vec<SystemTime>,
    actors: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    /// A change without a kind is of a later version, which this one never makes.
    pub(super) fn of(changes: &'a [Logged]) -> Self {
        let mut columns = Self::default();
        for Logged { match_id, change } in changes {
            let Some(entry) = change.kind.as_ref().map(entry) else { continue };
            columns.ids.push(match_id.as_str());
            columns.revs.push(change.rev);
            columns.kinds.push(entry.kind);
            columns.seqs.push(entry.seq);
            columns.after_seqs.push(change.after_seq);
            columns.bodies.push(entry.body);
            columns.times.push(from_ms(change.created_at_ms));
            columns.actors.push(entry.actor);
        }
        columns
    }

    /// For a statement that takes an array of each.
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 8] {
        let Self { ids, revs, kinds, seqs, after_seqs, bodies, times, actors } = self;
        [ids, revs, kinds, seqs, after_seqs, bodies, times, actors]
    }
}

/// A row of the log, as far as the kind of the change decides it.
struct Entry<'a> {
    kind: &'static str,
    seq: Option<i64>,
    body: Option<String>,
    actor: Option<&'a str>,
}

fn entry(kind: &Kind) -> Entry<'_> {
    match kind {
        Kind::Milestone(Milestone { milestone_id, threshold, unlocks, .. }) => {
            let body = serde_json::json!({ "milestoneId": milestone_id, "unlocks": unlocks });
            Entry { kind: MILESTONE, seq: Some(*threshold), body: Some(body.to_string()), actor: None }
        }
        // What a message has become stands in its row.
        Kind::Edited(Edited { seq, actor, .. }) => of_message(EDITED, *seq, actor),
        Kind::Deleted(Deleted { seq, actor }) => of_message(DELETED, *seq, actor),
        Kind::Reacted(Reacted { seq, actor, .. }) => of_message(REACTED, *seq, actor),
        Kind::Closing(Closing {}) => Entry { kind: CLOSING, seq: None, body: None, actor: None },
        Kind::Membership(Membership { added, removed, actor, roles, in_group, .. }) => {
            let mut body = serde_json::json!({ "added": added, "removed": removed });
            if *in_group {
                let roles: Vec<_> = roles.iter().map(|member| (&member.user_id, member.role)).collect();
                body["roles"] = serde_json::json!(roles);
            }
            Entry { kind: MEMBERSHIP, seq: None, body: Some(body.to_string()), actor: actor.as_deref() }
        }
    }
}

fn of_message<'a>(kind: &'static str, seq: i64, actor: &'a str) -> Entry<'a> {
    Entry { kind, seq: Some(seq), body: None, actor: Some(actor) }
}

/// The statement of a page of changes, with parameters (match, rev, count, user). The message of a change is shown as
/// it is now; of one that the user has hidden nothing is, nor of what was before the user sees the match. One statement
/// is one snapshot; a match without changes gives one row, whose other columns are null.
pub(super) fn statement() -> String {
    let (from_rev, from_seq) = (sees_changes_from(4), sees_behind(4));
    format!(
        "SELECT m.rev, c.rev,
                CASE WHEN h.seq IS NULL AND c.rev >= {from_rev}
                          AND (c.kind NOT IN ('{EDITED}', '{DELETED}', '{REACTED}') OR c.seq > {from_seq})
                     THEN c.kind END, c.seq, c.after_seq, c.body, c.created_at,
                c.actor, s.body, s.reactions, (SELECT min(rev) FROM changes WHERE match_id = $1)
         FROM matches m LEFT JOIN (
             SELECT * FROM changes WHERE match_id = $1 AND rev > $2 ORDER BY rev LIMIT $3
         ) c ON true
         LEFT JOIN messages s ON c.kind IN ('{EDITED}', '{REACTED}') AND s.match_id = $1 AND s.seq = c.seq
         LEFT JOIN hidden h ON h.match_id = $1 AND h.user_id = $4 AND h.seq = s.seq
         WHERE m.match_id = $1 AND {} ORDER BY c.rev",
        may_read(4)
    )
}

/// How many rows a page holds by the bytes of what they show: at least one.
fn fitting(rows: &[Row], limit: usize) -> Result<usize, Error> {
    let mut total = 0;
    for (count, row) in rows.iter().take(limit).enumerate() {
        let columns: [Option<&str>; 3] = [row.try_get(5)?, row.try_get(8)?, row.try_get(9)?];
        total += columns.into_iter().flatten().map(str::len).sum::<usize>();
        if total > MAX_PAGE_BYTES && count > 0 {
            return Ok(count);
        }
    }
    Ok(limit)
}

impl ListedChanges {
    /// From the rows of [`statement`], which was asked for one more than the page holds; `None` without rows.
    pub(super) fn of(rows: &[Row], limit: usize) -> Result<Option<Self>, Error> {
        let Some(first) = rows.first() else { return Ok(None) };
        let (head, oldest_rev) = (first.try_get(0)?, first.try_get::<_, Option<i64>>(10)?.unwrap_or(0));
        let count = fitting(rows, limit)?;
        let changes = rows.iter().take(count).map(of_row).collect::<Result<Vec<_>, _>>()?;
        let changes: Vec<Change> = changes.into_iter().flatten().collect();
        let has_more = rows.len() > count;
        let through_rev = changes.last().filter(|_| has_more).map_or(head, |last| last.rev);
        Ok(Some(Self { changes, through_rev, has_more, oldest_rev }))
    }
}

impl Store {
    /// At most `limit` changes of a match after a rev; `None` when the match does not exist, or the user may not read
    /// it.
    pub(crate) async fn list_changes(
        &self,
        (id, user): (&MatchId, Option<&UserId>),
        after_rev: i64,
        limit: usize,
    ) -> Result<Option<ListedChanges>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&statement()).await?;
        let user = user.map(UserId::as_str);
        let rows = client.query(&statement, &[&id.as_str(), &after_rev, &one_more_than(limit), &user]).await?;
        Ok(ListedChanges::of(&rows, limit)?)
    }
}

/// A change and its match: the columns of [`of_row`], with the match in place of its rev.
pub(super) fn logged(row: &Row) -> Result<Option<Logged>, Error> {
    let Some(change) = of_row(row)? else { return Ok(None) };
    Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(|match_id| Logged { match_id, change }))
}

/// `None` for the row of a match without changes.
fn of_row(row: &Row) -> Result<Option<Change>, Error> {
    let Some(rev) = row.try_get(1)? else { return Ok(None) };
    let (after_seq, created_at_ms) = (row.try_get(4)?, to_ms(row.try_get(6)?));
    let kind = match row.try_get::<_, Option<_>>(2)?.unwrap_or_default() {
        MILESTONE => milestone(row, rev)?.map(Kind::Milestone),
        CLOSING => Some(Kind::Closing(Closing {})),
        MEMBERSHIP => membership(row)?.map(Kind::Membership),
        kind @ (EDITED | DELETED | REACTED) => of_changed_message(kind, row)?,
        _ => None,
    };
    Ok(Some(Change { rev, after_seq, created_at_ms, kind }))
}

fn milestone(row: &Row, rev: i64) -> Result<Option<Milestone>, Error> {
    let Some(MilestoneBody { milestone_id, unlocks }) = body(row)? else { return Ok(None) };
    let threshold = row.try_get::<_, Option<i64>>(3)?.unwrap_or(0);
    let (after_seq, reached_at_ms) = (row.try_get(4)?, to_ms(row.try_get(6)?));
    Ok(Some(Milestone { milestone_id, rev, threshold, unlocks, reached_at_ms, after_seq }))
}

fn membership(row: &Row) -> Result<Option<Membership>, Error> {
    let Some(MembershipBody { added, removed, roles }) = body(row)? else { return Ok(None) };
    let in_group = roles.is_some();
    let roles = roles.unwrap_or_default().into_iter().map(|(user_id, role)| Member { user_id, role }).collect();
    let (actor, without_history) = (row.try_get(7)?, Vec::new());
    Ok(Some(Membership { added, removed, actor, roles, in_group, without_history }))
}

/// What the statement of a page reads of the message, too.
fn of_changed_message(kind: &str, row: &Row) -> Result<Option<Kind>, Error> {
    let (Some(seq), Some(actor)) = (row.try_get(3)?, row.try_get(7)?) else { return Ok(None) };
    Ok(Some(match kind {
        EDITED => Kind::Edited(Edited { seq, actor, body: row.try_get::<_, Option<_>>(8)?.unwrap_or_default() }),
        REACTED => Kind::Reacted(Reacted { seq, actor, reactions: reactions::of_json(row.try_get(9)?) }),
        _ => Kind::Deleted(Deleted { seq, actor }),
    }))
}

fn body<'a, B: Deserialize<'a>>(row: &'a Row) -> Result<Option<B>, Error> {
    let body: Option<&str> = row.try_get(5)?;
    Ok(body.and_then(|body| serde_json::from_str(body).ok()))
}
