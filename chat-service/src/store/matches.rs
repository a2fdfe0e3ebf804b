//! Matches: made, read, listed.

use deadpool_postgres::{Object, Transaction};
use futures_util::join;
use proto::{
    MatchId, UserId,
    chat::{Change, Group, Match, Member, Message, Milestone, Receipts, Sharing},
};
use tokio_postgres::{Error, Row, Statement, types::ToSql};

use super::{
    Store, StoreError, blocks,
    changes::{self, ListedChanges},
    members::role_of,
    messages::{MessagePage, Position, one_more_than},
    milestones, notes, positions, sharing,
    time::to_ms,
};
use crate::may::may_read;

/// The columns of [`of_row`], in its order, behind which `FROM matches m` follows.
const SELECT: &str = "SELECT m.match_id, m.last_seq, m.created_at, m.closed_at,
     ARRAY (SELECT user_id FROM members u WHERE u.match_id = m.match_id ORDER BY user_id),
     m.rev, m.members_rev, (SELECT epoch FROM epochs), m.title,
     CASE WHEN m.is_group THEN ARRAY (
         SELECT role::integer FROM members u WHERE u.match_id = m.match_id ORDER BY user_id) END";

/// Most members of the matches of a page together: an answer is no larger than some 128 KB.
const MAX_LISTED_MEMBERS: usize = 1_500;

/// Where among them the epoch is.
const EPOCH: usize = 7;
/// Where the title of a group is, and behind it the roles of its members.
const TITLE: usize = 8;

/// A match with a page of its messages, of one snapshot.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) found: Match,
    pub(crate) messages: Vec<Message>,
    pub(crate) has_more: bool,
    pub(crate) epoch: String,
    /// The changes that were asked for, if any were.
    pub(crate) changes: Option<ListedChanges>,
    /// How far the user and the others have come, if a user reads.
    pub(crate) receipts: Option<Receipts>,
    /// What the user shows and sees there, if a user reads.
    pub(crate) sharing: Option<Sharing>,
    /// What lies between the messages, if these were asked for.
    pub(crate) notes: Vec<Change>,
}

/// What is to be shown of a match beside itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// Messages after this one.
    pub(crate) seq: Option<i64>,
    /// Changes after this one.
    pub(crate) rev: Option<i64>,
    /// At most so many of each.
    pub(crate) limit: usize,
}

/// What became of the wish for a match.
#[derive(Debug)]
pub(crate) enum Put {
    /// It is new.
    Created(Match),
    /// It was there, open and with these members.
    Present(Match),
    /// It is closed, or has other members.
    Refused,
    /// One of two members has blocked the other.
    Blocked,
}

impl Store {
    /// The match, with messages and changes, as one snapshot shows them; `None` when it does not exist, or the user may
    /// not read it.
    pub(crate) async fn get_match(
        &self,
        (id, user): (&MatchId, Option<&UserId>),
        since: Since,
    ) -> Result<Option<Page>, StoreError> {
        let client = self.client().await?;
        let position = Position::After(since.seq.unwrap_or(i64::MAX));
        let [head, told, page, log, positions, shared, between] = prepared(&client, position).await?;
        let (id, user) = (id.as_str(), user.map(UserId::as_str));
        let (seq, count, rev) = (position.seq(), one_more_than(since.limit), since.rev.unwrap_or(0));
        let (ids, own, is_read) = (&[id][..], user.unwrap_or_default(), user.is_some());
        let first_note = *notes::range(position, (None, None), false).start();
        let rows = async |is_wanted, statement: &Statement, parameters: &[&(dyn ToSql + Sync)]| {
            if is_wanted { client.query(statement, parameters).await } else { Ok(Vec::new()) }
        };
        // One round trip: the statements go out together.
        let (begun, head, told, page, log, receipts, shared, between, ended) = join!(
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            async { rows(true, &head, &[&id, &user]).await },
            async { rows(true, &told, &[&id, &user]).await },
            async { rows(true, &page, &[&id, &seq, &count, &user]).await },
            async { rows(since.rev.is_some(), &log, &[&id, &rev, &count, &user]).await },
            async { rows(is_read, &positions, &[&ids, &own]).await },
            async { rows(is_read, &shared, &[&ids, &own]).await },
            async { rows(since.seq.is_some(), &between, &[&id, &first_note, &i64::MAX, &user]).await },
            client.batch_execute("COMMIT"),
        );
        begun.and(ended)?;
        let Some(row) = head?.pop() else { return Ok(None) };
        let milestones =
            told?.iter().map(milestones::of_row).map(|milestone| Ok(milestone?.1)).collect::<Result<_, Error>>()?;
        let (messages, has_more): MessagePage = position.page(&page?, since.limit)?;
        let (found, changes) = (of_row(&row, milestones)?, ListedChanges::of(&log?, since.limit)?);
        let receipts = positions::receipts(&receipts?)?.pop();
        let through = notes::range(position, (None, messages.last().map(|last| last.seq)), has_more);
        let mut notes = notes::of(&between?, notes::Wanted::First)?;
        notes.retain(|note| through.contains(&note.after_seq));
        let (sharing, epoch) = (shared?.first().map(sharing::of_row).transpose()?, row.try_get(EPOCH)?);
        Ok(Some(Page { found, messages, has_more, epoch, changes, receipts, sharing, notes }))
    }

    /// Makes the match unless it is there. Its row is locked also then: only a COMMIT that writes waits for the
    /// standby, which may lack what another call has made.
    pub(crate) async fn put_match(&self, id: &MatchId, members: &[UserId]) -> Result<Put, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let users: Vec<&str> = members.iter().map(UserId::as_str).collect();
        if let [one, other] = users[..]
            && blocks::is_blocked(&transaction, one, other).await?
        {
            return Ok(Put::Blocked);
        }
        let insert =
            "INSERT INTO matches (match_id, created_at) VALUES ($1, date_trunc('milliseconds', clock_timestamp()))
                      ON CONFLICT DO NOTHING";
        let created = transaction.execute(insert, &[&id.as_str()]).await? == 1;
        if created {
            let members = "INSERT INTO members (match_id, user_id) SELECT $1, unnest($2::text[])";
            transaction.execute(members, &[&id.as_str(), &users]).await?;
            let by_user = "INSERT INTO user_matches (match_id, user_id) SELECT $1, unnest($2::text[])";
            transaction.execute(by_user, &[&id.as_str(), &users]).await?;
        }
        let found = locked(&transaction, id).await?;
        transaction.commit().await?;
        let is_same = found.group.is_none() && found.members == users;
        Ok(match created {
            true => Put::Created(found),
            false if found.closed_at_ms.is_none() && is_same => Put::Present(found),
            false => Put::Refused,
        })
    }

    /// At most `limit` matches of the user whose ids come after `after`, by id, and whether more follow.
    pub(crate) async fn list_matches(
        &self,
        user: &UserId,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Match>, bool), StoreError> {
        let client = self.client().await?;
        let sql = format!(
            "{SELECT} FROM matches m JOIN user_matches o USING (match_id)
             WHERE o.user_id = $1 AND o.match_id > $2 ORDER BY o.match_id LIMIT $3"
        );
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&user.as_str(), &after, &one_more_than(limit)]).await?;
        let mut matches = rows.iter().take(limit).map(|row| of_row(row, Vec::new())).collect::<Result<Vec<_>, _>>()?;
        matches.truncate(fitting(&matches));
        let has_more = rows.len() > matches.len();
        let ids: Vec<&str> = matches.iter().map(|found| found.match_id.as_str()).collect();
        let statement = client.prepare_cached(&milestones::select_of_matches()).await?;
        let told = client.query(&statement, &[&ids]).await?;
        for milestone in told.iter().map(milestones::of_row) {
            let (id, milestone) = milestone?;
            if let Some(found) = matches.iter_mut().find(|found| found.match_id == id) {
                found.milestones.push(milestone);
            }
        }
        Ok((matches, has_more))
    }
}

/// The statement of the rows of matches by their ids, for [`of_row`].
pub(super) fn select_of_ids() -> String {
    format!("{SELECT} FROM matches m WHERE m.match_id = ANY ($1)")
}

/// How many of these a page holds, by their members: at least one, so that whoever reads on comes to the end.
fn fitting(matches: &[Match]) -> usize {
    let mut total = 0;
    let fitting = matches.iter().take_while(|of| {
        total += of.members.len();
        total <= MAX_LISTED_MEMBERS
    });
    fitting.count().max(1).min(matches.len())
}

/// What is read of a match for one user: the match, its milestones, messages, changes, positions, what is shared, and
/// the notes.
async fn prepared(client: &Object, position: Position) -> Result<[Statement; 7], Error> {
    let head = format!("{SELECT} FROM matches m WHERE m.match_id = $1 AND {}", may_read(2));
    Ok([
        client.prepare_cached(&head).await?,
        client.prepare_cached(&milestones::select_of_match()).await?,
        client.prepare_cached(&position.statement()).await?,
        client.prepare_cached(&changes::statement()).await?,
        client.prepare_cached(&positions::select_receipts()).await?,
        client.prepare_cached(&sharing::select_sharing()).await?,
        client.prepare_cached(&notes::statement(notes::Wanted::First)).await?,
    ])
}

/// A match, with its row locked.
pub(super) async fn locked(transaction: &Transaction<'_>, id: &MatchId) -> Result<Match, Error> {
    // The members are read behind the lock: a statement that waits for one shows other tables as they were before.
    transaction.execute("SELECT FROM matches WHERE match_id = $1 FOR KEY SHARE", &[&id.as_str()]).await?;
    let row = transaction.query_one(&format!("{SELECT} FROM matches m WHERE m.match_id = $1"), &[&id.as_str()]).await?;
    let told = transaction.query(&milestones::select_of_matches(), &[&&[id.as_str()][..]]).await?;
    let milestones =
        told.iter().map(milestones::of_row).map(|milestone| Ok(milestone?.1)).collect::<Result<_, Error>>()?;
    of_row(&row, milestones)
}

fn group(row: &Row, members: &[String]) -> Result<Option<Group>, Error> {
    let (title, roles): (_, Option<Vec<i32>>) = (row.try_get(TITLE)?, row.try_get(TITLE + 1)?);
    Ok(roles.map(|roles| {
        let members = members.iter().zip(roles);
        let member = |(user, role): (&String, i32)| Member { user_id: user.clone(), role: role_of(role).into() };
        Group { title, members: members.map(member).collect() }
    }))
}

pub(super) fn of_row(row: &Row, milestones: Vec<Milestone>) -> Result<Match, Error> {
    let members: Vec<String> = row.try_get(4)?;
    Ok(Match {
        match_id: row.try_get(0)?,
        group: group(row, &members)?,
        members,
        last_seq: row.try_get(1)?,
        created_at_ms: to_ms(row.try_get(2)?),
        closed_at_ms: row.try_get::<_, Option<_>>(3)?.map(to_ms),
        milestones,
        rev: row.try_get(5)?,
        members_rev: row.try_get(6)?,
    })
}
