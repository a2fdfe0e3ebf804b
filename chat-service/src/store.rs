//! PostgreSQL, the only truth: the schema, the lanes' sessions, and a small pool for everything else.

mod blocks;
mod changes;
mod erasure_matches;
mod erasures;
mod error;
mod groups;
mod heads;
mod hosts;
mod matches;
mod members;
mod messages;
mod migrations;
mod milestones;
mod notes;
mod outage;
mod positions;
mod reactions;
mod reports;
mod revocations;
mod session;
mod settings;
mod sharing;
mod sync;
mod time;
mod watch;

pub(crate) use changes::ListedChanges;
pub(crate) use erasure_matches::{ErasureMatch, Left, Parting};
pub(crate) use erasures::Backlog;
pub(crate) use error::StoreError;
pub(crate) use groups::NewGroup;
pub(crate) use heads::Heads;
pub(crate) use matches::{Page, Put, Since};
pub(crate) use messages::{Listed, Position};
pub(crate) use milestones::Unannounced;
pub(crate) use positions::Marked;
pub(crate) use reports::{Complaint, Filed};
pub(crate) use revocations::Revoked;
pub(crate) use session::Session;
pub(crate) use sync::{SyncWish, Synced};

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::time::Instant;
use tokio_postgres::{Client, Config};

use hosts::{CONNECT_TIMEOUT, Hosts};
use outage::Outage;

/// Connections beside the lanes': reads, matches, milestones.
const POOL_SIZE: usize = 8;
/// How long a call may wait for a connection of the pool.
const POOL_TIMEOUT: Duration = Duration::from_secs(1);

/// `synchronous_commit` weaker than `on` would ack what a crash may lose; `remote_apply` is stronger and stays. It is
/// set in any case: what a session has not set changes in its middle when the server is told so.
const SET_DURABLE: &str = "SELECT set_config('synchronous_commit',
     CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)";

/// PostgreSQL behind a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    hosts: Hosts,
    pool: Pool,
    /// One connection, so that who looks whether PostgreSQL answers never waits behind those to whom it does not.
    watch: Pool,
    /// One connection, for scans whose reader sets the pace.
    scans: Pool,
    outage: Outage,
}

impl Store {
    /// A store of the database that `config` names. Nothing is connected yet.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let hosts = Hosts::of(config);
        let [pool, watch, scans] = [POOL_SIZE, 1, 1].map(|size| pool_of(config, &hosts, size));
        Ok(Self { pool: pool?, watch: watch?, scans: scans?, hosts, outage: Outage::default() })
    }

    /// Brings the schema to this version; several replicas may do so at once.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        migrations::migrate(self.probe(&self.pool).await?).await
    }

    /// A connection of the pool. While PostgreSQL is known to be away, most calls fail at once.
    async fn client(&self) -> Result<Object, StoreError> {
        if !self.outage.may_connect(Instant::now()) && self.pool.status().available == 0 {
            return Err(StoreError::Unavailable("it was away a moment ago".to_owned()));
        }
        self.probe(&self.pool).await
    }

    /// A connection of a pool, also while PostgreSQL is known to be away.
    async fn probe(&self, pool: &Pool) -> Result<Object, StoreError> {
        let client = pool.get().await;
        // Who waited for others' connections in vain has learnt nothing.
        if !matches!(client, Err(PoolError::Timeout(TimeoutType::Wait))) {
            self.outage.note(client.is_ok(), Instant::now());
        }
        Ok(client?)
    }
}

fn pool_of(config: &Config, hosts: &Hosts, size: usize) -> anyhow::Result<Pool> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_connect(config.clone(), hosts.clone(), recycling))
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(POOL_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(POOL_TIMEOUT))
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move { set_durable(client).await.map_err(HookError::Backend) })
        }))
        .build()
        .context("the connection pool cannot be built")
}

async fn set_durable(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(SET_DURABLE).await
}
