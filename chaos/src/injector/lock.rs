//! A transaction that somebody left open.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_postgres::NoTls;

/// The tables that can be locked.
pub(super) const TABLES: [&str; 4] = ["matches", "messages", "members", "milestones"];
/// PostgreSQL may be away when the lock is to be taken.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Nobody can write to the table while this exists; everybody can read it.
#[derive(Debug)]
pub(super) struct TableLock {
    // Ends the connection, and with it the transaction.
    _holder: JoinSet<()>,
}

impl TableLock {
    /// Begins to wait for the lock.
    pub(super) fn take(database_url: &str, table: &str) -> Result<Self> {
        let config: tokio_postgres::Config = database_url.parse().context("the database's URL is malformed")?;
        let sql = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
        let mut holder = JoinSet::new();
        holder.spawn(async move {
            let Ok(Ok((client, connection))) = timeout(CONNECT_WITHIN, config.connect(NoTls)).await else { return };
            let hold = async {
                let _ = client.batch_execute(&sql).await;
                // Open until somebody drops it.
                sleep(Duration::MAX).await;
            };
            tokio::select! {
                _ = connection => {}
                () = hold => {}
            }
        });
        Ok(Self { _holder: holder })
    }
}
