//! What one NATS subscription costs its client in memory: measured in a process that has nothing else.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{process::Command, time::timeout};

use super::{
    number,
    process::{Process, settled_pss},
};

/// The command of this program that measures.
pub const COMMAND: &str = "subscriptions";
/// Subscribed and let go before, so that what is needed only once is there.
const WARM_UP: usize = 200;
const LIMIT: Duration = Duration::from_mins(3);

/// Bytes for each of `count` subscriptions at this server, measured by a child of ours.
///
/// # Errors
/// If the child fails.
pub async fn measure_in_child(nats_url: &str, count: usize) -> anyhow::Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COMMAND, "--nats-url", nats_url, "--count", &count.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output();
    let output = timeout(LIMIT, output).await.context("the subscriptions take too long")??;
    ensure!(output.status.success(), "the subscriptions cannot be measured");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Bytes for each of `count` subscriptions of this process.
///
/// # Errors
/// If the server cannot be reached.
pub async fn measure(nats_url: &str, count: usize) -> anyhow::Result<f64> {
    let own = [Process(std::process::id())];
    let client = async_nats::connect(nats_url).await?;
    drop(subscribe(&client, WARM_UP).await?);
    let before = settled_pss(&own).await?;
    let held = subscribe(&client, count).await?;
    let after = settled_pss(&own).await?;
    drop(held);
    Ok(number(after.saturating_sub(before)) / number(count as u64))
}

/// Subjects as long as those of the users that [`super::crowd`] has.
async fn subscribe(client: &async_nats::Client, count: usize) -> anyhow::Result<Vec<async_nats::Subscriber>> {
    let run = super::run_name();
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        held.push(client.subscribe(format!("user.load-{run}-{number}-a")).await?);
    }
    client.flush().await?;
    Ok(held)
}
