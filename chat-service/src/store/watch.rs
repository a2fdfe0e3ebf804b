//! Whether PostgreSQL answers at all.

use std::time::Duration;

use tokio::time::timeout;

use super::{Store, StoreError, time};

/// A server that does not tell the time by then hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl Store {
    /// The database's time; also proves that it answers. One that does not loses the connections of all who wait for
    /// it.
    pub(crate) async fn now_ms(&self) -> Result<i64, StoreError> {
        let client = self.probe(&self.watch).await?;
        let Ok(answer) = timeout(ANSWER_TIMEOUT, time::now_ms(&client)).await else {
            self.hosts.abandon_pooled();
            return Err(StoreError::Unavailable("no answer in time".to_owned()));
        };
        Ok(answer?)
    }
}
