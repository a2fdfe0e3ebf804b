//! PostgreSQL, the only truth: the schema, the lanes' sessions, and a small pool for everything else.

mod error;
mod heads;
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
use tokio_postgres::{Client, NoTls, config::TargetSessionAttrs};

/// Connections beside the lanes': reads, matches, milestones.
const POOL_SIZE: usize = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a call may wait for a connection of the pool.
const POOL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the kernel may try to reach a server that has vanished without a word.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Each statement and each lock is bounded, and so is a transaction whose client was frozen in its middle.
const SESSION_OPTIONS: &str = "-c lock_timeout=500 -c statement_timeout=2500 -c idle_in_transaction_session_timeout=5000 \
     -c default_transaction_isolation=read\\ committed -c jit=off";

/// `synchronous_commit` weaker than `on` would ack what a crash may lose; `remote_apply` is stronger and stays.
const ASSERT_DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// PostgreSQL behind a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    config: tokio_postgres::Config,
    pool: Pool,
}

impl Store {
    /// A store of the database that `config` names. Nothing is connected yet.
    pub(crate) fn new(config: tokio_postgres::Config) -> anyhow::Result<Self> {
        let config = hardened(config);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config.clone(), NoTls, recycling))
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
        Ok(Self { config, pool })
    }

    /// Whether PostgreSQL answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.client().await?.batch_execute("").await?)
    }

    /// Brings the schema to this version; several replicas may do so at once.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        Ok(migrations::migrate(&mut client).await?)
    }

    async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }
}

async fn assert_durable(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(ASSERT_DURABLE).await
}

fn hardened(mut config: tokio_postgres::Config) -> tokio_postgres::Config {
    let options = [SESSION_OPTIONS, config.get_options().unwrap_or_default()].join(" ");
    config
        .options(options)
        .application_name("chat-service")
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives_idle(TCP_USER_TIMEOUT)
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(3)
        // After a promotion the old primary may come back read-only.
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    config
}
