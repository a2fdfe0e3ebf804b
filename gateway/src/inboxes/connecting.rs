//! The search for a server.

use std::pin::Pin;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{
    link::Link,
    protocol::Info,
    servers::{self, Servers},
    stream,
};

/// What the servers are told that we are.
const NAME: &str = env!("CARGO_PKG_NAME");

/// A search that is under way.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Box<Connected>> + Send>>;

/// A server is ready.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) info: Info,
    /// As they were when it was its turn.
    pub(super) servers: Servers,
}

/// The server, once one is ready.
pub(super) async fn connected(connecting: Option<&mut Connecting>) -> Box<Connected> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

/// Tries one server after the other until one is ready, the more rarely the more was in vain: a server may also take us
/// in and then send us away.
pub(super) async fn connect(mut servers: Servers, losses: u32) -> Box<Connected> {
    let mut attempt = losses;
    loop {
        sleep(servers::delay(attempt)).await;
        if let Some(server) = servers.turn() {
            match stream::open(&server, NAME).await {
                Ok(opened) => {
                    info!(%server, "the inboxes are connected");
                    let info = opened.info.clone();
                    return Box::new(Connected { link: Link::new(opened), info, servers });
                }
                // Each attempt may fail for long: the first says it.
                Err(error) if attempt == losses => warn!(%server, %error, "the inboxes cannot be connected"),
                Err(error) => debug!(%server, %error, "the inboxes cannot be connected"),
            }
        }
        attempt = attempt.saturating_add(1);
    }
}
