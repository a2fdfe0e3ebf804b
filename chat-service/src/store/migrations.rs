//! The schema, version by version. A version that has shipped is never edited; the next one is added.

use deadpool_postgres::Object;
use service_kit::mutation::{self, Mutation};
use tokio_postgres::{Client, Transaction};
use tracing::info;

use super::StoreError;

/// One version of the schema.
struct Migration {
    sql: &'static str,
    /// Fills the new tables from the old ones, batch by batch: a statement with the parameters (last match of the batch
    /// before, size of a batch), which tells the last match of its batch, or null when there is none.
    fill: Option<&'static str>,
    /// The oldest version whose services run on this one, too. During a rolling update they do: an additive change
    /// leaves it where it was.
    runs_from: i32,
}

/// Version n is the n-th.
const MIGRATIONS: [Migration; 12] = [
    Migration { sql: include_str!("migrations/0001_matches_and_messages.sql"), fill: None, runs_from: 1 },
    Migration { sql: include_str!("migrations/0002_revocations_by_change.sql"), fill: None, runs_from: 1 },
    Migration {
        sql: include_str!("migrations/0003_changes.sql"),
        fill: Some(include_str!("migrations/0003_changes_fill.sql")),
        runs_from: 3,
    },
    Migration { sql: include_str!("migrations/0004_members_rev.sql"), fill: None, runs_from: 3 },
    Migration { sql: include_str!("migrations/0005_message_changes.sql"), fill: None, runs_from: 3 },
    Migration {
        sql: include_str!("migrations/0006_positions.sql"),
        fill: Some(include_str!("migrations/0006_positions_fill.sql")),
        runs_from: 3,
    },
    Migration { sql: include_str!("migrations/0007_blocks.sql"), fill: None, runs_from: 3 },
    Migration { sql: include_str!("migrations/0008_reports.sql"), fill: None, runs_from: 3 },
    Migration { sql: include_str!("migrations/0009_sync.sql"), fill: None, runs_from: 3 },
    Migration {
        sql: include_str!("migrations/0010_erasure.sql"),
        fill: Some(include_str!("migrations/0010_erasure_fill.sql")),
        runs_from: 3,
    },
    Migration { sql: include_str!("migrations/0011_presence.sql"), fill: None, runs_from: 3 },
    Migration { sql: include_str!("migrations/0012_groups.sql"), fill: None, runs_from: 3 },
];

/// Matches that one transaction fills: some 0.2 s of work.
const FILL_BATCH: i64 = 10_000;

/// Held by the one replica that migrates. Any number that nobody else locks will do.
const LOCK: i64 = 0x6d69_6e64_6675_6c01;

/// Another replica may migrate for longer than a message may wait for a row. A session whose client is gone without a
/// word gives the lock back when it has been idle for a moment.
const SETTINGS: &str = "SET lock_timeout = 0; SET statement_timeout = 0; SET client_min_messages = warning;
     SET idle_session_timeout = '5s'";

/// The versions of a database. A service of before there was `runs_from` leaves it at 1. `filled_to` is the last match
/// that was filled, and null when all are.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions
         (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
     ALTER TABLE schema_versions ADD COLUMN IF NOT EXISTS runs_from integer NOT NULL DEFAULT 1,
                                 ADD COLUMN IF NOT EXISTS filled_to text";

/// A database that was restored into another cluster has a history of its own from then on.
const RENEW_EPOCH: &str = "UPDATE epochs SET epoch = DEFAULT, system = DEFAULT
     WHERE system <> (pg_control_system()).system_identifier";

/// Brings the database to this version: each version in a transaction of its own, and what it fills in many. A replica
/// that dies meanwhile leaves the rest to the next one. A database of a later version is left as it is, and refused if
/// it needs a later service.
pub(super) async fn migrate(client: Object) -> Result<(), StoreError> {
    // Not given back to the pool: the lock and the settings end with the connection.
    let mut client = Object::take(client);
    client.batch_execute(SETTINGS).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    client.batch_execute(VERSIONS).await?;
    let present = present(&client).await?;
    for (version, migration) in (1_i32..).zip(&MIGRATIONS) {
        if version > present {
            apply(&mut client, version, migration).await?;
        }
        if let Some(fill) = migration.fill {
            fill_all(&mut client, version, fill).await?;
        }
    }
    if client.execute(RENEW_EPOCH, &[]).await? > 0 {
        info!("the database was restored into another cluster and has a new epoch");
    }
    if mutation::is_broken(Mutation::NoDedupe) {
        let sql = "ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_match_id_sender_id_client_id_key";
        client.batch_execute(sql).await?;
    }
    Ok(())
}

async fn apply(client: &mut Client, version: i32, migration: &Migration) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(migration.sql).await?;
    let note = "INSERT INTO schema_versions (version, runs_from, filled_to) VALUES ($1, $2, $3)";
    let filled_to = migration.fill.map(|_| "");
    transaction.execute(note, &[&version, &migration.runs_from, &filled_to]).await?;
    transaction.commit().await?;
    info!(version, "the schema was migrated");
    Ok(())
}

async fn fill_all(client: &mut Client, version: i32, fill: &str) -> Result<(), StoreError> {
    loop {
        let transaction = client.transaction().await?;
        let is_left = fill_batch(&transaction, version, fill).await?;
        transaction.commit().await?;
        if !is_left {
            return Ok(());
        }
    }
}

/// Whether another batch may be left.
async fn fill_batch(transaction: &Transaction<'_>, version: i32, fill: &str) -> Result<bool, StoreError> {
    let filled_to = "SELECT filled_to FROM schema_versions WHERE version = $1";
    let after: Option<String> = transaction.query_one(filled_to, &[&version]).await?.try_get(0)?;
    let Some(after) = after else { return Ok(false) };
    let last: Option<String> = transaction.query_one(fill, &[&after, &FILL_BATCH]).await?.try_get(0)?;
    let note = "UPDATE schema_versions SET filled_to = $2 WHERE version = $1";
    transaction.execute(note, &[&version, &last]).await?;
    info!(version, filled_to = last, "matches were brought to the new schema");
    Ok(last.is_some())
}

/// The database's version; 0 for an empty one.
async fn present(client: &Client) -> Result<i32, StoreError> {
    let newest = "SELECT version, runs_from FROM schema_versions ORDER BY version DESC LIMIT 1";
    let Some(row) = client.query_opt(newest, &[]).await? else { return Ok(0) };
    let (present, needs) = (row.try_get(0)?, row.try_get(1)?);
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if needs > known {
        return Err(StoreError::NewerSchema { present, needs, known });
    }
    Ok(present)
}

#[cfg(test)]
mod tests {
    use proto::partition::fnv1a;

    use super::*;

    /// A database that was brought to a version stays as it is: what that version said must not change any more.
    #[test]
    fn versions_that_have_shipped_are_frozen() {
        let hash =
            |migration: Migration| (fnv1a(migration.sql.as_bytes()), migration.fill.map(|fill| fnv1a(fill.as_bytes())));
        let shipped = [
            (0xef8a_19c1_4f46_33fa, None),
            (0x501a_81a0_dc5f_ca56, None),
            (0x9c5b_d291_6bec_c5cb, Some(0x04da_3d4c_2ec0_0a0b)),
            (0x21f7_63b3_953a_1830, None),
            (0x048a_4441_11ac_9e89, None),
            (0xd930_871b_42e4_4a0e, Some(0xa85e_6712_5f2c_8d35)),
            (0xfe4c_495f_b9fd_3944, None),
            (0x16f6_ad31_43b0_bd59, None),
            (0x7783_13ff_2b63_09a7, None),
            (0x1e91_4086_084e_5d17, Some(0xc054_0798_cb3f_a2e9)),
            (0x83ca_e12d_18ed_9abe, None),
            (0xa87f_8d0d_4c74_0c4a, None),
        ];
        assert_eq!(MIGRATIONS.map(hash), shipped);
    }
}
