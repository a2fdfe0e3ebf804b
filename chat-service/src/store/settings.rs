//! What users share with others.

use proto::{
    UserId,
    chat::{PutSettingsRequest, Settings},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError};

impl Store {
    /// What a user shares: everything, unless something else was set.
    pub(crate) async fn settings(&self, user: &UserId) -> Result<Settings, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT receipts, typing, presence, locked FROM settings WHERE user_id = $1";
        let row = client.query_opt(&client.prepare_cached(sql).await?, &[&user.as_str()]).await?;
        let all = Settings { share_receipts: true, ..Settings::default() };
        Ok(row.map_or(Ok(all), |row| of_row(&row))?)
    }

    /// Sets what is given. `None` when the user asks and the app server has locked it.
    pub(crate) async fn put_settings(
        &self,
        user: &UserId,
        set: &PutSettingsRequest,
    ) -> Result<Option<Settings>, StoreError> {
        let client = self.client().await?;
        let sql = "INSERT INTO settings AS s (user_id, receipts, typing, presence, locked)
                   VALUES ($1, coalesce($2, true), coalesce($3, true), coalesce($4, true), coalesce($5, false))
                   ON CONFLICT (user_id) DO UPDATE
                   SET receipts = coalesce($2, s.receipts), typing = coalesce($3, s.typing),
                       presence = coalesce($4, s.presence), locked = coalesce($5, s.locked)
                   WHERE NOT ($6 AND s.locked)
                   RETURNING receipts, typing, presence, locked";
        let statement = client.prepare_cached(sql).await?;
        let PutSettingsRequest { share_receipts, share_typing, share_presence, locked, by_user, .. } = set;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&user.as_str(), share_receipts, share_typing, share_presence, locked, by_user];
        let row = client.query_opt(&statement, &values).await?;
        Ok(row.map(|row| of_row(&row)).transpose()?)
    }
}

fn of_row(row: &Row) -> Result<Settings, Error> {
    Ok(Settings {
        share_receipts: row.try_get(0)?,
        hides_typing: !row.try_get::<_, bool>(1)?,
        hides_presence: !row.try_get::<_, bool>(2)?,
        locked: row.try_get(3)?,
    })
}
