//! Redis: one connection that heals itself, and no wait without a bound.

use std::time::Duration;

use ::redis::{
    Client, Cmd, FromRedisValue, RedisResult, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use anyhow::Context;
use thiserror::Error;
use tokio::time::{sleep, timeout};

use crate::{Lifecycle, config::RedisConfig, health::Condition};

/// How long a caller waits for an answer: long enough for a reconnect, short enough to say `UNAVAILABLE` in time.
const PATIENCE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often the server is asked whether it answers. This is also what reconnects an idle connection.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Commands that wait to be written; callers beyond it wait too.
const QUEUED_COMMANDS: usize = 256;

/// A connection to Redis that many tasks share. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    available: Condition,
}

/// Why Redis gave no usable answer. Whether the command was carried out is unknown.
#[derive(Debug, Error)]
pub enum RedisError {
    /// No answer came in time.
    #[error("Redis does not answer")]
    TimedOut,
    /// The connection failed, or the server refused.
    #[error("Redis: {0}")]
    Failed(#[from] ::redis::RedisError),
}

impl Redis {
    /// Opens a connection, which connects when it is used and again whenever it is lost.
    ///
    /// `available` tells whether the server answers.
    pub fn open(config: &RedisConfig, available: Condition, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let client = Client::open(config.redis_url.as_str()).context("--redis-url is malformed")?;
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(PATIENCE))
            .set_pipeline_buffer_size(QUEUED_COMMANDS);
        let connection = ConnectionManager::new_lazy_with_config(client, settings)?;
        let redis = Self { connection, available };
        lifecycle.spawn_background(redis.clone().keep_probing());
        Ok(redis)
    }

    /// Whether the server answered when it was last asked, which is at most a moment ago.
    pub fn is_available(&self) -> bool {
        self.available.holds()
    }

    /// Runs one command.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        bounded(command.query_async(&mut self.connection.clone())).await
    }

    /// Runs a script, which the server does as one atomic step.
    pub async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        bounded(script.invoke_async(&mut self.connection.clone())).await
    }

    async fn keep_probing(self) {
        let mut first = true;
        loop {
            let answer = self.command::<String>(&::redis::cmd("PING")).await;
            if let (true, Err(error)) = (first, &answer) {
                tracing::warn!(%error, "waiting for Redis");
            }
            first = false;
            self.available.set(answer.is_ok());
            sleep(PROBE_INTERVAL).await;
        }
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

async fn bounded<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, RedisError> {
    timeout(PATIENCE, answer).await.map_err(|_| RedisError::TimedOut)?.map_err(RedisError::Failed)
}
