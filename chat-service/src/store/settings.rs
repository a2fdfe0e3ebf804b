//! What users share with others.

use proto::{UserId, chat::Settings};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError};

impl Store {
    /// What a user shares: everything, unless something else was set.
    pub(crate) async fn settings(&self, user: &UserId) -> Result<Settings, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT receipts, locked FROM settings WHERE user_id = $1";
        let row = client.query_opt(&client.prepare_cached(sql).await?, &[&user.as_str()]).await?;
        Ok(row.map_or(Ok(Settings { share_receipts: true, locked: false }), |row| of_row(&row))?)
    }

    /// Sets what is given. `None` when the user asks and the app server has locked it.
    pub(crate) async fn put_settings(
        &self,
        user: &UserId,
        (share_receipts, locked): (Option<bool>, Option<bool>),
        by_user: bool,
    ) -> Result<Option<Settings>, StoreError> {
        let client = self.client().await?;
        let sql = "INSERT INTO settings AS s (user_id, receipts, locked)
                   VALUES ($1, coalesce($2, true), coalesce($3, false))
                   ON CONFLICT (user_id) DO UPDATE
                   SET receipts = coalesce($2, s.receipts), locked = coalesce($3, s.locked)
                   WHERE NOT ($4 AND s.locked)
                   RETURNING receipts, locked";
        let statement = client.prepare_cached(sql).await?;
        let row = client.query_opt(&statement, &[&user.as_str(), &share_receipts, &locked, &by_user]).await?;
        Ok(row.map(|row| of_row(&row)).transpose()?)
    }
}

fn of_row(row: &Row) -> Result<Settings, Error> {
    Ok(Settings { share_receipts: row.try_get(0)?, locked: row.try_get(1)? })
}
