//! Who belongs to a match.

use proto::{MatchId, UserId};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError};
use crate::audience::Audience;

/// The columns of [`audience`], of a `matches m`.
const SELECT: &str = "SELECT m.members_rev, ARRAY (SELECT user_id FROM members u WHERE u.match_id = m.match_id)";

impl Store {
    /// The audience of the match; `None` when it does not exist.
    pub(crate) async fn audience(&self, id: &MatchId) -> Result<Option<Audience>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&format!("{SELECT} FROM matches m WHERE m.match_id = $1")).await?;
        let row = client.query_opt(&statement, &[&id.as_str()]).await?;
        Ok(row.map(|row| audience(&row)).transpose()?)
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

/// The audience in the first two columns of a row.
pub(super) fn audience(row: &Row) -> Result<Audience, Error> {
    Ok(Audience::new(users(row, 1)?, row.try_get(0)?))
}

/// The ids in a column of a text array.
pub(super) fn users(row: &Row, column: usize) -> Result<Vec<UserId>, Error> {
    Ok(row.try_get::<_, Vec<&str>>(column)?.into_iter().filter_map(|id| UserId::new(id).ok()).collect())
}
