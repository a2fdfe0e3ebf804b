//! How the connection to NATS is opened and watched, and when it moves to another server.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{config::NatsConfig, health::Condition};

/// async-nats gives up on a hung server at the third unanswered ping.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// What a subscription holds of what nobody has taken yet. More is dropped, as NATS may drop it, and counts as a
/// disturbance.
const SUBSCRIPTION_CAPACITY: usize = 4_096;
/// A hung server accepts connections too, and says nothing: the next one may answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);
/// The clients of a server in lame-duck mode leave it over this time. It sends away those that are left after its grace
/// period, 10 s unless configured otherwise (NATS documentation, "Lame Duck Mode").
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
/// So many clients leave one after the other.
const LEAVERS: u32 = 32;
/// A server repeats that it is in lame-duck mode; the next server has its own say.
const LEAVE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// A connection and what can be watched of it.
pub(super) struct Opened {
    pub(super) client: Arc<Client>,
    /// Changes whenever messages may have been missed.
    pub(super) disturbances: watch::Receiver<u64>,
    /// Changes whenever the connection is lost, and with it what was under way.
    pub(super) losses: watch::Receiver<u64>,
}

/// Opens the connection.
pub(super) async fn open(config: &NatsConfig, name: &str, connected: Condition) -> anyhow::Result<Opened> {
    let (disturbed, disturbances) = watch::channel(0);
    let (lost, losses) = watch::channel(0);
    let handle = Arc::new(OnceLock::<Weak<Client>>::new());
    let servers = config.nats_url.iter().map(|server| format!("{}:{}", server.host(), server.port()));
    let watcher = Arc::new(Watcher {
        servers: servers.collect::<Vec<_>>().join(", "),
        connected,
        disturbed,
        lost,
        failing: AtomicBool::new(false),
        handle: handle.clone(),
        left: watch::Sender::new(None),
    });
    let client = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .connection_timeout(CONNECT_TIMEOUT)
        .retry_on_initial_connect()
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            let watcher = watcher.clone();
            async move { watcher.observe(&event).await }
        })
        .connect(&config.nats_url[..])
        .await?;
    let client = Arc::new(client);
    // Weak, as the events end only when the last client is dropped.
    let _ = handle.set(Arc::downgrade(&client));
    Ok(Opened { client, disturbances, losses })
}

/// Has the client connect anew, to another server if there is one that answers.
pub(super) async fn reconnect(client: &Client) {
    if client.force_reconnect().await.is_err() {
        tracing::warn!("cannot reconnect to NATS");
    }
}

fn reconnect_delay(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt).unwrap_or(u32::MAX).min(8);
    Duration::from_millis(4).saturating_mul(2_u32.saturating_pow(exponent)).min(MAX_RECONNECT_DELAY)
}

struct Watcher {
    /// For people.
    servers: String,
    connected: Condition,
    disturbed: watch::Sender<u64>,
    lost: watch::Sender<u64>,
    /// Whether an error was told since the connection stood last.
    failing: AtomicBool,
    handle: Arc<OnceLock<Weak<Client>>>,
    /// When it left a server in lame-duck mode last.
    left: watch::Sender<Option<Instant>>,
}

impl Watcher {
    /// Events come one after the other.
    async fn observe(&self, event: &Event) {
        self.tell(event);
        match event {
            Event::Connected => {
                self.connected.set(true);
                self.disturbed.send_modify(|count| *count += 1);
            }
            Event::Disconnected | Event::Closed => {
                self.connected.set(false);
                self.lost.send_modify(|count| *count += 1);
            }
            Event::SlowConsumer(_) => self.disturbed.send_modify(|count| *count += 1),
            Event::LameDuckMode => self.leave().await,
            _ => {}
        }
    }

    /// async-nats stays until it is sent away. The server takes no new connections, so the next one is to another.
    async fn leave(&self) {
        let Some(client) = self.handle.get().and_then(Weak::upgrade) else { return };
        if self.left.borrow().is_some_and(|at| at.elapsed() < LEAVE_AGAIN_AFTER) {
            return;
        }
        // The server numbers its clients.
        let turn = u32::try_from(client.server_info().client_id % u64::from(LEAVERS)).unwrap_or(0);
        sleep(LEAVE_WITHIN * turn / LEAVERS).await;
        reconnect(&client).await;
        self.left.send_replace(Some(Instant::now()));
    }

    fn tell(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(%event, "NATS");
            }
            Event::Disconnected | Event::LameDuckMode => tracing::info!(%event, "NATS"),
            // Each attempt to connect fails with one, several a second: the first says it.
            Event::ClientError(_) if self.failing.swap(true, Ordering::Relaxed) => tracing::debug!(%event, "NATS"),
            Event::ClientError(error) => {
                tracing::warn!(servers = self.servers, %error, "NATS cannot be reached, trying on");
            }
            _ => tracing::warn!(%event, "NATS"),
        }
    }
}
