//! Syncs: which matches of a user have changed, and what of them is to be told, as one snapshot shows it.
//!
//! Nothing is written for a sync, and nothing kept: each row knows the transaction that wrote it (`xmin`).

mod content;
mod page;
mod wish;

pub(crate) use wish::{Known, SyncWish};

use proto::{UserId, chat::SyncedMatch};
use tokio_postgres::{Error, IsolationLevel};

use super::{Store, StoreError};
use crate::sync_token::{Round, Snapshot, TokenKey};
use content::Content;

/// What it is told.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) token: String,
    pub(crate) reset: bool,
    pub(crate) has_more: bool,
    pub(crate) matches: Vec<SyncedMatch>,
    /// Whom the user has blocked, if that has changed.
    pub(crate) blocked: Option<Vec<String>>,
    pub(crate) epoch: String,
}

/// What the database says of itself and of a user.
struct Origin {
    snapshot: Snapshot,
    epoch: String,
    secret: Vec<u8>,
    /// A hash of whom the user has blocked.
    blocks: i64,
}

const ORIGIN: &str = "SELECT e.epoch, e.sync_key, pg_snapshot_xmin(pg_current_snapshot())::text,
            pg_snapshot_xmax(pg_current_snapshot())::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
            (SELECT hashtextextended(coalesce(string_agg(blocked_id, ' ' ORDER BY blocked_id), ''), 0)
             FROM blocks WHERE user_id = $1)
     FROM epochs e";

const BLOCKED: &str = "SELECT blocked_id FROM blocks WHERE user_id = $1 ORDER BY blocked_id";

impl Store {
    /// What has changed for a user.
    pub(crate) async fn sync(&self, wish: &SyncWish) -> Result<Synced, StoreError> {
        let mut client = self.client().await?;
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = snapshot.start().await?;
        let Origin { snapshot, epoch, secret, blocks } = origin(&transaction, &wish.user).await?;
        let key = TokenKey { secret: &secret, epoch: &epoch, user: wish.user.as_str() };
        let resumed = wish.token.as_ref().map(|token| key.resume(token, snapshot));
        let reset = matches!(resumed, Some(None));
        let round = resumed.flatten().unwrap_or_else(|| Round::of_everything(snapshot));

        let (found, has_more) = page::of(&transaction, wish, (&round, snapshot)).await?;
        let nothing = Known::new();
        let known = if reset { &nothing } else { &wish.known };
        let since = round.since(snapshot);
        let content = Content { user: &wish.user, known, messages: wish.messages, since };
        let mut matches = content.of(&transaction, &found).await?;
        let has_more = has_more || matches.len() < found.len();
        for (synced, found) in matches.iter_mut().zip(found) {
            synced.token = key.seal(&round.behind(Some(found.place), blocks));
        }
        let token = match matches.last() {
            Some(last) if has_more => last.token.clone(),
            _ => key.seal(&round.behind(None, blocks)),
        };
        let blocked = if round.blocks == Some(blocks) { None } else { Some(blocked(&transaction, &wish.user).await?) };
        transaction.commit().await?;
        Ok(Synced { token, reset, has_more, matches, blocked, epoch })
    }
}

async fn origin(transaction: &deadpool_postgres::Transaction<'_>, user: &UserId) -> Result<Origin, Error> {
    let statement = transaction.prepare_cached(ORIGIN).await?;
    let row = transaction.query_one(&statement, &[&user.as_str()]).await?;
    let number = |column| Ok(row.try_get::<_, &str>(column)?.parse().unwrap_or_default());
    let timeline = u32::from_str_radix(row.try_get(4)?, 16).unwrap_or_default();
    let snapshot = Snapshot { oldest: number(2)?, next: number(3)?, timeline };
    Ok(Origin { snapshot, epoch: row.try_get(0)?, secret: row.try_get(1)?, blocks: row.try_get(5)? })
}

async fn blocked(transaction: &deadpool_postgres::Transaction<'_>, user: &UserId) -> Result<Vec<String>, Error> {
    let statement = transaction.prepare_cached(BLOCKED).await?;
    transaction.query(&statement, &[&user.as_str()]).await?.iter().map(|row| row.try_get(0)).collect()
}
