//! The schema, version by version. A version that has shipped is never edited; the next one is added.

use service_kit::mutation::{self, Mutation};
use tokio_postgres::{Client, Error};
use tracing::info;

/// Version n is the n-th.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_matches_and_messages.sql")];

/// Taken by whoever migrates, for the length of the transaction. Any number that nobody else locks will do.
const LOCK: i64 = 0x6d69_6e64_6675_6c01;

/// Applies what the database lacks, in one transaction. A database of a later version is left as it is: services of
/// version n run on the schema of n + 1.
pub(super) async fn migrate(client: &mut Client) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    // Another replica may be at it for longer than a message may wait for a row.
    transaction.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let table = "CREATE TABLE IF NOT EXISTS schema_versions
                 (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(table).await?;
    let row = transaction.query_one("SELECT coalesce(max(version), 0) FROM schema_versions", &[]).await?;
    let present: i32 = row.try_get(0)?;
    for (version, sql) in (1_i32..).zip(MIGRATIONS) {
        if version > present {
            transaction.batch_execute(sql).await?;
            transaction.execute("INSERT INTO schema_versions (version) VALUES ($1)", &[&version]).await?;
            info!(version, "the schema was migrated");
        }
    }
    if mutation::is_broken(Mutation::NoDedupe) {
        let sql = "ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_match_id_sender_id_client_id_key";
        transaction.batch_execute(sql).await?;
    }
    transaction.commit().await
}
