//! Client-side balancing: resolves DNS names again and again and keeps one connection per address.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use tokio::{net::lookup_host, sync::mpsc::Sender, time::timeout};
use tonic::transport::{Channel, Endpoint, channel::Change};

use crate::Lifecycle;

const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// While some name has no address yet, as at the start of a whole stack.
const RESOLVE_INTERVAL_MISSING: Duration = Duration::from_millis(500);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CHANGES_CAPACITY: usize = 64;

type Changes = Sender<Change<SocketAddr, Endpoint>>;

/// A channel over every address of `targets`.
pub(super) fn balanced_channel(targets: Vec<String>, lifecycle: &Lifecycle) -> Channel {
    let (channel, changes) = Channel::balance_channel(CHANGES_CAPACITY);
    lifecycle.spawn_background(keep_resolved(targets, changes));
    channel
}

async fn keep_resolved(targets: Vec<String>, changes: Changes) {
    let mut known = HashSet::new();
    loop {
        let (found, complete) = resolve(&targets).await;
        // A failed look-up says nothing of the addresses known so far.
        if complete {
            for gone in known.difference(&found).copied().collect::<Vec<_>>() {
                known.remove(&gone);
                if changes.send(Change::Remove(gone)).await.is_err() {
                    return;
                }
            }
        }
        for address in found {
            if known.insert(address) && changes.send(Change::Insert(address, endpoint(address))).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(if complete { RESOLVE_INTERVAL } else { RESOLVE_INTERVAL_MISSING }).await;
    }
}

async fn resolve(targets: &[String]) -> (HashSet<SocketAddr>, bool) {
    let mut found = HashSet::new();
    let mut complete = true;
    for target in targets {
        match timeout(LOOKUP_TIMEOUT, lookup_host(target)).await {
            Ok(Ok(addresses)) => found.extend(addresses),
            Ok(Err(error)) => {
                complete = false;
                tracing::debug!(target, %error, "cannot resolve");
            }
            Err(_) => complete = false,
        }
    }
    (found, complete && !targets.is_empty())
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from(http_uri(address))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
}

fn http_uri(address: SocketAddr) -> http::Uri {
    http::Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build().unwrap_or_default()
}
