//! The servers of a stack: alone, or several of a kind.

use std::path::Path;

use anyhow::Result;
use tokio::try_join;

use super::{Member, Role, StackConfig};
use crate::{
    daemon::Daemon,
    note::note,
    servers::{Nats, NatsCluster, Postgres, PostgresPair, Redis, Roles},
};

/// Where chat-service keeps its tables.
const DATABASE: &str = "chat";

/// Where the servers are, as clients are told.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) nats: String,
    pub(super) redis: String,
    pub(super) database: String,
}

impl Addresses {
    /// These, but for those of servers that the developer named by `--env` instead.
    pub(super) fn unless_given(self, config: &StackConfig) -> Self {
        let given =
            |variable, own| config.given(variable).and_then(|url| url.to_str()).map_or(own, |url: &str| url.to_owned());
        Self {
            nats: given("NATS_URL", self.nats),
            redis: given("REDIS_URL", self.redis),
            database: given("DATABASE_URL", self.database),
        }
    }
}

/// The running servers.
pub(super) struct Started {
    pub(super) members: Vec<Member>,
    pub(super) roles: Option<Roles>,
}

/// Starts them side by side.
pub(super) async fn start(config: &StackConfig, dir: &Path) -> Result<(Started, Addresses)> {
    note("starting NATS, Redis and PostgreSQL");
    let (nats, redis, postgres) = try_join!(start_nats(config, dir), Redis::start(dir), start_postgres(config, dir))?;
    let ((nats, nats_url), (postgres, roles, database_url)) = (nats, postgres);
    let addresses = Addresses { nats: nats_url, redis: redis.url().to_owned(), database: database_url };
    let members = nats.into_iter().chain([redis.into_daemon()]).chain(postgres).map(server).collect();
    Ok((Started { members, roles }, addresses))
}

async fn start_nats(config: &StackConfig, dir: &Path) -> Result<(Vec<Daemon>, String)> {
    if config.nats == 1 {
        let nats = Nats::start(dir).await?;
        let url = nats.url().to_owned();
        return Ok((vec![nats.into_daemon()], url));
    }
    let cluster = NatsCluster::start(dir, config.nats.into()).await?;
    let urls = cluster.urls().join(",");
    Ok((cluster.into_daemons(), urls))
}

async fn start_postgres(config: &StackConfig, dir: &Path) -> Result<(Vec<Daemon>, Option<Roles>, String)> {
    if !config.pg_standby {
        let postgres = Postgres::start(dir).await?;
        let url = postgres.create_database(DATABASE).await?;
        return Ok((vec![postgres.into_daemon()], None, url));
    }
    let pair = PostgresPair::start(dir).await?;
    let url = pair.create_database(DATABASE).await?;
    let (servers, roles) = pair.into_parts();
    Ok((servers.into(), Some(roles), url))
}

fn server(daemon: Daemon) -> Member {
    Member { role: Role::Server, daemon, health_port: None, grpc_port: None }
}
