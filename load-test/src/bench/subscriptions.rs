//! What one NATS subscription costs its client in memory, new and used: measured in a process that has nothing else.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use super::{
    number,
    process::{Process, settled_pss},
};

/// The command of this program that measures.
pub const COMMAND: &str = "subscriptions";
/// Subscribed and let go before, so that what is needed only once is there.
const WARM_UP: usize = 200;
const LIMIT: Duration = Duration::from_mins(5);
/// More than a block of tokio's channels holds, which async-nats has one of per subscription.
const MESSAGES: usize = 40;

/// Bytes for each subscription.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Subscription {
    /// That has had no message yet.
    pub new: f64,
    /// That has had some, all read.
    pub used: f64,
}

struct Held {
    subject: String,
    subscriber: async_nats::Subscriber,
}

/// Bytes for each of `count` subscriptions at this server, measured by a child of ours.
///
/// # Errors
/// If the child fails.
pub async fn measure_in_child(nats_url: &str, count: usize) -> anyhow::Result<Subscription> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COMMAND, "--nats-url", nats_url, "--count", &count.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output();
    let output = timeout(LIMIT, output).await.context("the subscriptions take too long")??;
    ensure!(output.status.success(), "the subscriptions cannot be measured");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Bytes for each of `count` subscriptions of this process.
///
/// # Errors
/// If the server cannot be reached.
pub async fn measure(nats_url: &str, count: usize) -> anyhow::Result<Subscription> {
    let own = [Process(std::process::id())];
    let client = async_nats::connect(nats_url).await?;
    drop(subscribe(&client, WARM_UP).await?);
    let before = settled_pss(&own).await?;
    let mut held = subscribe(&client, count).await?;
    let each = |after: u64| number(after.saturating_sub(before)) / number(count as u64);
    let new = each(settled_pss(&own).await?);
    use_all(&client, &mut held).await?;
    Ok(Subscription { new, used: each(settled_pss(&own).await?) })
}

/// Each gets some messages, and reads them.
#[expect(clippy::disallowed_methods, reason = "a tool that takes nothing else from the service kit")]
async fn use_all(client: &async_nats::Client, held: &mut [Held]) -> anyhow::Result<()> {
    for Held { subject, subscriber } in held {
        for _ in 0..MESSAGES {
            client.publish(subject.clone(), "x".into()).await?;
        }
        for _ in 0..MESSAGES {
            subscriber.next().await.context("a subscription has ended")?;
        }
    }
    Ok(())
}

/// Subjects as long as those of the users that [`super::crowd`] has.
async fn subscribe(client: &async_nats::Client, count: usize) -> anyhow::Result<Vec<Held>> {
    let run = super::run_name();
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let subject = format!("user.load-{run}-{number}-a");
        held.push(Held { subscriber: client.subscribe(subject.clone()).await?, subject });
    }
    client.flush().await?;
    Ok(held)
}
