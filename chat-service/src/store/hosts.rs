//! The hosts of PostgreSQL, of which one takes writes.

use std::{cmp::max, future::poll_fn, pin::pin, time::Duration};

use deadpool_postgres::Connect;
use futures_util::{
    FutureExt,
    future::{BoxFuture, select_ok},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, NoTls, Socket,
    config::{Host, TargetSessionAttrs},
    error::Severity,
    tls::NoTlsStream,
};
use tracing::{debug, warn};

/// How long a host may take to accept a connection; a pooled one must be ready to use by then.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the kernel may try to reach a server that has vanished without a word.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Each statement and each lock is bounded, and so is a transaction whose client was frozen in its middle.
const SESSION_OPTIONS: &str = "-c lock_timeout=500 -c statement_timeout=2500 -c idle_in_transaction_session_timeout=5000 \
     -c default_transaction_isolation=read\\ committed -c jit=off";

/// A configuration for each host. Cheap enough to clone.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    each: Vec<Config>,
    /// Changes when the pool's connections are of no use any more.
    abandoned: watch::Sender<u64>,
}

impl Hosts {
    /// What `config` says, host by host.
    pub(super) fn of(config: &Config) -> Self {
        let count = max(config.get_hosts().len(), config.get_hostaddrs().len());
        // Without any, connecting says so.
        let each = if count == 0 { vec![config.clone()] } else { (0..count).map(|i| only(config, i)).collect() };
        Self { each, abandoned: watch::Sender::new(0) }
    }

    /// Connects to the host that takes writes.
    ///
    /// All are tried side by side: one that hangs accepts connections and says nothing, and one after the other would
    /// never come to the next.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, NoTlsStream>), Error> {
        let attempts = self.each.iter().map(|host| host.connect(NoTls).boxed());
        select_ok(attempts).await.map(|(connected, _)| connected)
    }

    /// Closes the connections that the pool has now, also those in use.
    pub(super) fn abandon_pooled(&self) {
        self.abandoned.send_modify(|count| *count += 1);
    }
}

impl Connect for Hosts {
    #[expect(clippy::disallowed_methods, reason = "the pool owns the task and aborts it with its client")]
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let mut abandoned = self.abandoned.subscribe();
        async move {
            let (client, connection) = Hosts::connect(self).await?;
            let driven = async move {
                tokio::select! {
                    () = drive(connection) => {}
                    _ = abandoned.changed() => {}
                }
            };
            Ok((client, tokio::spawn(driven)))
        }
        .boxed()
    }
}

/// Moves the connection's bytes until it ends, or PostgreSQL warns.
///
/// A COMMIT whose wait for the standby was cut short succeeds, with a warning before its answer: it holds here and may
/// be gone after a promotion. So a warning closes the connection, and who waits for the answer learns that the outcome
/// is unknown. (What the server warns of while connecting, such as another version of a collation, has been read by
/// then.)
pub(super) async fn drive(connection: Connection<Socket, NoTlsStream>) {
    let mut connection = pin!(connection);
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                return warn!(code = notice.code().code(), "PostgreSQL warns: {}", notice.message());
            }
            Ok(_) => {}
            Err(error) => return debug!(%error, "a connection ended"),
        }
    }
}

/// The configuration of the host at `i`.
fn only(config: &Config, i: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(i) {
        Some(Host::Tcp(name)) => _ = one.host(name),
        Some(Host::Unix(path)) => _ = one.host_path(path),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(i) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(i).or(config.get_ports().first()) {
        one.port(*port);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    let options = [SESSION_OPTIONS, config.get_options().unwrap_or_default()].join(" ");
    one.options(options)
        .application_name("chat-service")
        .ssl_mode(config.get_ssl_mode())
        .channel_binding(config.get_channel_binding())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives_idle(TCP_USER_TIMEOUT)
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(3)
        // A standby answers too, and so may an old primary that came back read-only.
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_one_of_its_own_with_what_all_share() {
        let config = "postgres://me:secret@a:1,b:2/chat?options=-c%20geqo=off".parse().unwrap();
        let hosts = Hosts::of(&config);
        let said: Vec<_> = hosts
            .each
            .iter()
            .map(|host| (host.get_hosts().to_vec(), host.get_ports().to_vec(), host.get_dbname()))
            .collect();
        let host = |name: &str, port| (vec![Host::Tcp(name.to_owned())], vec![port], Some("chat"));
        assert_eq!(said, [host("a", 1), host("b", 2)]);
        for host in &hosts.each {
            assert_eq!((host.get_user(), host.get_password()), (Some("me"), Some(&b"secret"[..])));
            assert!(host.get_options().unwrap().ends_with("-c jit=off -c geqo=off"));
        }
    }

    #[test]
    fn hosts_may_share_a_port() {
        let hosts = Hosts::of(&"host=a,b port=7 user=me".parse().unwrap());
        assert!(hosts.each.iter().all(|host| host.get_ports() == [7]));
    }
}
