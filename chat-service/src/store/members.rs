//! Who belongs to a match.

use std::time::Duration;

use proto::{MatchId, UserId, chat::Role};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError};
use crate::{audience::Audience, tenure::Tenure};

/// The columns of [`audience`], of a `matches m`.
pub(super) const SELECT: &str =
    "SELECT m.members_rev, ARRAY (SELECT user_id FROM members u WHERE u.match_id = m.match_id),
            CASE WHEN m.is_group THEN coalesce((
                SELECT json_agg(json_build_array(u.user_id, u.role, u.place, u.from_seq, u.from_rev))::text
                FROM members u WHERE u.match_id = m.match_id), '[]') END";
/// Where what is selected behind them begins.
pub(super) const AFTER: usize = 3;

impl Store {
    /// The audience of the match; `None` when it does not exist.
    pub(crate) async fn audience(&self, id: &MatchId) -> Result<Option<Audience>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&format!("{SELECT} FROM matches m WHERE m.match_id = $1")).await?;
        let row = client.query_opt(&statement, &[&id.as_str()]).await?;
        Ok(row.map(|row| audience(&row)).transpose()?)
    }

    /// Whether the user, who is no member, has left the group by itself.
    pub(crate) async fn has_left(&self, id: &MatchId, user: &UserId) -> Result<bool, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT EXISTS (SELECT FROM left_groups WHERE user_id = $1 AND match_id = $2)";
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query_one(&statement, &[&user.as_str(), &id.as_str()]).await?.try_get(0)?)
    }

    /// Forgets at most `limit` invitations of longer ago than `kept`. Returns how many.
    pub(crate) async fn forget_invitations(&self, kept: Duration, limit: i64) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM invitations WHERE (user_id, match_id, rev, invited_id) IN (
                       SELECT user_id, match_id, rev, invited_id FROM invitations
                       WHERE created_at < clock_timestamp() - make_interval(secs => $1)
                       ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(sql, &[&kept.as_secs_f64(), &limit]).await?)
    }

    /// The audience of the match, if the user belongs to it.
    ///
    /// The question is put to the user's own matches: what it reads of the index lies beside these, whatever is true of
    /// the match.
    pub(crate) async fn audience_with(&self, id: &MatchId, user: &UserId) -> Result<Option<Audience>, StoreError> {
        let client = self.client().await?;
        let sql = format!(
            "{SELECT} FROM user_matches o JOIN matches m USING (match_id) WHERE o.user_id = $1 AND o.match_id = $2"
        );
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_opt(&statement, &[&user.as_str(), &id.as_str()]).await?;
        Ok(row.map(|row| audience(&row)).transpose()?)
    }
}

/// A member of a group in the third column: its id, its role, its place, and from where on it sees the match.
type Listed = (String, i32, i64, i64, i64);

/// The audience in the first three columns of a row.
pub(super) fn audience(row: &Row) -> Result<Audience, Error> {
    let (version, group): (i64, Option<&str>) = (row.try_get(0)?, row.try_get(2)?);
    let Some(group) = group else { return Ok(Audience::new(users(row, 1)?, version)) };
    let listed: Vec<Listed> = serde_json::from_str(group).unwrap_or_default();
    let members = listed.into_iter().filter_map(|(user, role, place, from_seq, from_rev)| {
        Some((UserId::new(user).ok()?, Tenure { role: role_of(role), place, from_seq, from_rev }))
    });
    Ok(Audience::group(members.collect(), version))
}

/// A role as the table has it. One that a service of before there were groups has left out is the least.
pub(super) fn role_of(stored: i32) -> Role {
    Role::try_from(stored).ok().filter(|role| *role != Role::Unspecified).unwrap_or(Role::Member)
}

/// The ids in a column of a text array.
pub(super) fn users(row: &Row, column: usize) -> Result<Vec<UserId>, Error> {
    Ok(row.try_get::<_, Vec<&str>>(column)?.into_iter().filter_map(|id| UserId::new(id).ok()).collect())
}
