//! How the connection to NATS is opened and watched.

use std::time::Duration;

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
    let disturbed = std::sync::Arc::new(disturbed);
    let client = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_INTERVAL)
        .retry_on_initial_connect()
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            observe(&event, &connected, &disturbed);
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

fn observe(event: &Event, connected: &Condition, disturbed: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            connected.set(true);
            disturbed.send_modify(|count| *count += 1);
        }
        Event::Disconnected | Event::Closed => connected.set(false),
        Event::SlowConsumer(_) => disturbed.send_modify(|count| *count += 1),
        _ => {}
    }
    match event {
        Event::Connected | Event::Disconnected => tracing::info!(%event, "NATS"),
        _ => tracing::warn!(%event, "NATS"),
    }
}
