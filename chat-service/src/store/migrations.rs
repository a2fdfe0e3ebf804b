//! The schema, version by version. A version that has shipped is never edited; the next one is added.

use service_kit::mutation::{self, Mutation};
use tokio_postgres::{Client, Transaction};
use tracing::info;

use super::StoreError;

/// One version of the schema.
struct Migration {
    sql: &'static str,
    /// The oldest version whose services run on this one, too. During a rolling update they do: an additive change leaves it
    /// where it was.
    runs_from: i32,
}

/// Version n is the n-th.
const MIGRATIONS: [Migration; 2] = [
    Migration { sql: include_str!("migrations/0001_matches_and_messages.sql"), runs_from: 1 },
    Migration { sql: include_str!("migrations/0002_revocations_by_change.sql"), runs_from: 1 },
];

/// Taken by whoever migrates, for the length of the transaction. Any number that nobody else locks will do.
const LOCK: i64 = 0x6d69_6e64_6675_6c01;

/// The versions of a database. A service of before there was `runs_from` leaves it at 1.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions
         (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
     ALTER TABLE schema_versions ADD COLUMN IF NOT EXISTS runs_from integer NOT NULL DEFAULT 1";

/// Applies what the database lacks, in one transaction. A database of a later version is left as it is, and refused if it
/// needs a later service.
pub(super) async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    // Another replica may be at it for longer than a message may wait for a row.
    let settings =
        "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning";
    transaction.batch_execute(settings).await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction.batch_execute(VERSIONS).await?;
    let present = present(&transaction).await?;
    for (version, Migration { sql, runs_from }) in (1_i32..).zip(MIGRATIONS) {
        if version > present {
            transaction.batch_execute(sql).await?;
            let note = "INSERT INTO schema_versions (version, runs_from) VALUES ($1, $2)";
            transaction.execute(note, &[&version, &runs_from]).await?;
            info!(version, "the schema was migrated");
        }
    }
    if mutation::is_broken(Mutation::NoDedupe) {
        let sql = "ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_match_id_sender_id_client_id_key";
        transaction.batch_execute(sql).await?;
    }
    Ok(transaction.commit().await?)
}

/// The database's version; 0 for an empty one.
async fn present(transaction: &Transaction<'_>) -> Result<i32, StoreError> {
    let newest = "SELECT version, runs_from FROM schema_versions ORDER BY version DESC LIMIT 1";
    let Some(row) = transaction.query_opt(newest, &[]).await? else { return Ok(0) };
    let (present, needs) = (row.try_get(0)?, row.try_get(1)?);
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if needs > known {
        return Err(StoreError::NewerSchema { present, needs, known });
    }
    Ok(present)
}
