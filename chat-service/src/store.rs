//! PostgreSQL, the only truth: the schema, the lanes' sessions, and a small pool for everything else.

mod error;
mod heads;
mod hosts;
mod matches;
mod messages;
mod migrations;
mod milestones;
mod revocations;
mod session;
mod time;

pub(crate) use error::{StoreError, TripError};
pub(crate) use matches::Put;
pub(crate) use messages::Position;
pub(crate) use milestones::{Announced, Reached, Recorded};
pub(crate) use session::Session;

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Client;

use hosts::{CONNECT_TIMEOUT, Hosts};

/// Connections beside the lanes': reads, matches, milestones.
const POOL_SIZE: usize = 8;
/// How long a call may wait for a connection of the pool.
const POOL_TIMEOUT: Duration = Duration::from_secs(1);

/// `synchronous_commit` weaker than `on` would ack what a crash may lose; `remote_apply` is stronger and stays.
const ASSERT_DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// PostgreSQL behind a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    hosts: Hosts,
    pool: Pool,
}

impl Store {
    /// A store of the database that `config` names. Nothing is connected yet.
    pub(crate) fn new(config: &tokio_postgres::Config) -> anyhow::Result<Self> {
        let hosts = Hosts::of(config);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_connect(config.clone(), hosts.clone(), recycling))
            .max_size(POOL_SIZE)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(POOL_TIMEOUT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { assert_durable(client).await.map_err(HookError::Backend) })
            }))
            .build()
            .context("the connection pool cannot be built")?;
        Ok(Self { hosts, pool })
    }

    /// Brings the schema to this version; several replicas may do so at once.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        migrations::migrate(&mut client).await
    }

    async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }
}

async fn assert_durable(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(ASSERT_DURABLE).await
}
