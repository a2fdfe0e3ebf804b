//! The servers of the cluster: those that were named, and those that they tell of. Pure.

use std::{fmt, time::Duration};

use service_kit::NatsConfig;

/// Most servers that are tried, the named ones first.
const MAX_SERVERS: usize = 64;
const FIRST_DELAY: Duration = Duration::from_millis(4);
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    /// It must speak TLS, whether it asks for it or not.
    pub(super) tls: bool,
}

/// The servers, in the order in which they are tried.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    named: Vec<Server>,
    told: Vec<Server>,
    next: usize,
}

impl Servers {
    /// The servers of the configuration, in an order of their own, so that connections spread over the cluster.
    pub(super) fn new(config: &NatsConfig) -> Self {
        let named = config.nats_url.iter();
        let named = named.map(|url| Server { host: url.host().to_owned(), port: url.port(), tls: url.tls_required() });
        let mut named: Vec<Server> = named.collect();
        fastrand::shuffle(&mut named);
        Self { named, told: Vec::new(), next: 0 }
    }

    /// A server tells where clients reach its cluster; what was told before counts no more.
    pub(super) fn learn(&mut self, connect_urls: &[String]) {
        let tls = self.named.iter().any(|server| server.tls);
        let told = connect_urls.iter().filter_map(|url| Server::at(url, tls));
        self.told = told.filter(|server| !self.named.contains(server)).take(MAX_SERVERS).collect();
    }

    /// The server to be tried next; all take turns.
    pub(super) fn turn(&mut self) -> Option<Server> {
        let count = self.named.len() + self.told.len();
        let index = self.next.checked_rem(count)?;
        self.next = index + 1;
        self.named.iter().chain(&self.told).nth(index).cloned()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Server {
    /// From `host:port`, as servers tell of each other.
    fn at(url: &str, tls: bool) -> Option<Self> {
        let (host, port) = url.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self { host: host.to_owned(), port: port.parse().ok()?, tls })
    }
}

/// How long to wait before the n-th attempt in a row, from 0; spread, so that not all come back at once.
pub(super) fn delay(attempt: u32) -> Duration {
    let longest = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(attempt)).min(MAX_DELAY);
    longest.mul_f64(fastrand::f64() / 2.0 + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str]) -> Servers {
        let nats_url = urls.iter().map(|url| url.parse().unwrap()).collect();
        Servers::new(&NatsConfig { nats_url, prefix: String::new() })
    }

    fn turns(servers: &mut Servers, count: usize) -> Vec<String> {
        let mut turns: Vec<_> = (0..count).filter_map(|_| servers.turn()).map(|server| format!("{server}")).collect();
        turns.sort_unstable();
        turns
    }

    #[test]
    fn all_servers_take_turns_also_those_that_were_told_of() {
        let mut servers = servers(&["nats://a", "nats://b:4223"]);
        assert_eq!(turns(&mut servers, 2), ["a:4222", "b:4223"]);
        servers.learn(&["a:4222".into(), "[::1]:4224".into(), "nonsense".into()]);
        assert_eq!(turns(&mut servers, 3), ["::1:4224", "a:4222", "b:4223"]);
        servers.learn(&[]);
        assert_eq!(turns(&mut servers, 4), ["a:4222", "a:4222", "b:4223", "b:4223"]);
    }

    #[test]
    fn one_tls_url_makes_all_servers_speak_tls() {
        let mut servers = servers(&["tls://a"]);
        servers.learn(&["b:4222".into()]);
        assert!((0..2).all(|_| servers.turn().unwrap().tls));
    }

    #[test]
    fn attempts_get_rarer_up_to_a_bound() {
        assert!(delay(0) <= FIRST_DELAY);
        assert!((MAX_DELAY / 2..=MAX_DELAY).contains(&delay(100)));
    }
}
