//! How the connection to NATS is opened and watched.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use crate::{config::NatsConfig, health::Condition};

/// async-nats gives up on a hung server at the third unanswered ping.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// Opens the connection and returns it with a counter that changes whenever messages may have been missed.
pub(super) async fn open(
    config: &NatsConfig,
    name: &str,
    connected: Condition,
) -> anyhow::Result<(Client, watch::Receiver<u64>)> {
    let (disturbed, disturbances) = watch::channel(0);
    let watcher = Watcher { connected, disturbed, failing: AtomicBool::new(false) };
    let client = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_INTERVAL)
        .retry_on_initial_connect()
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            watcher.observe(&event);
            std::future::ready(())
        })
        .connect(&config.nats_url[..])
        .await?;
    Ok((client, disturbances))
}

fn reconnect_delay(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt).unwrap_or(u32::MAX).min(8);
    Duration::from_millis(4).saturating_mul(2_u32.saturating_pow(exponent)).min(MAX_RECONNECT_DELAY)
}

struct Watcher {
    connected: Condition,
    disturbed: watch::Sender<u64>,
    /// Whether an error was told since the connection stood last.
    failing: AtomicBool,
}

impl Watcher {
    fn observe(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.connected.set(true);
                self.disturbed.send_modify(|count| *count += 1);
            }
            Event::Disconnected | Event::Closed => self.connected.set(false),
            Event::SlowConsumer(_) => self.disturbed.send_modify(|count| *count += 1),
            _ => {}
        }
        self.tell(event);
    }

    fn tell(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(%event, "NATS");
            }
            Event::Disconnected => tracing::info!(%event, "NATS"),
            // Each attempt to connect fails with one, twice a second: the first says it.
            Event::ClientError(_) if self.failing.swap(true, Ordering::Relaxed) => tracing::debug!(%event, "NATS"),
            _ => tracing::warn!(%event, "NATS"),
        }
    }
}
