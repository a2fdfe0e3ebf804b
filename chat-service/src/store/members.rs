//! Who belongs to a match.

use proto::{MatchId, UserId};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError};

impl Store {
    /// The members of the match, which never change; `None` when it does not exist.
    pub(crate) async fn members(&self, id: &MatchId) -> Result<Option<Vec<UserId>>, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT ARRAY (SELECT user_id FROM members u WHERE u.match_id = m.match_id ORDER BY user_id)
                   FROM matches m WHERE m.match_id = $1";
        let statement = client.prepare_cached(sql).await?;
        let row = client.query_opt(&statement, &[&id.as_str()]).await?;
        Ok(row.map(|row| users(&row, 0)).transpose()?)
    }

    /// The members of the match, which never change, if the user is one of them.
    ///
    /// The question is put to the user's own matches: what it reads of the index lies beside these, whatever is true of
    /// the match.
    pub(crate) async fn members_with(&self, id: &MatchId, user: &UserId) -> Result<Option<Vec<UserId>>, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT ARRAY (SELECT user_id FROM members u WHERE u.match_id = o.match_id ORDER BY user_id)
                   FROM user_matches o WHERE o.user_id = $1 AND o.match_id = $2";
        let statement = client.prepare_cached(sql).await?;
        let row = client.query_opt(&statement, &[&user.as_str(), &id.as_str()]).await?;
        Ok(row.map(|row| users(&row, 0)).transpose()?)
    }
}

/// The ids in a column of a text array.
pub(super) fn users(row: &Row, column: usize) -> Result<Vec<UserId>, Error> {
    Ok(row.try_get::<_, Vec<&str>>(column)?.into_iter().filter_map(|id| UserId::new(id).ok()).collect())
}
