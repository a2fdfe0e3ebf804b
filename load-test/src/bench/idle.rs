//! `bench idle`: user-space memory of connections that do nothing, step by step.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde::Serialize;

use super::{
    ByTarget,
    crowd::{Crowd, Step},
    events::{self, EVENTS},
    process::settled_pss,
    table::{kilobytes, row},
    target::Target,
    write_json,
};
use crate::stats::number;

/// Connections that come and go before, so that what is needed only once is there. Few: what they leave free is taken
/// again.
const WARM_UP: usize = 64;
/// A process may open 20,000 files here, and needs some for itself.
const MOST: usize = 19_500;

/// What to measure.
#[derive(Debug, Args)]
pub struct Idle {
    /// Connections, each of a user of its own
    #[arg(long, default_value_t = 18_000)]
    pub connections: usize,
    /// Gateways that share them
    #[arg(long, default_value_t = 1)]
    pub gateways: u16,
    /// Leave socket.io from npm out
    #[arg(long)]
    pub no_reference: bool,
    /// A variable for the gateways and services, e.g. `MALLOC_ARENA_MAX=1`; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Write the result here
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Devices of a user where the cost of a socket is told from that of a user.
const DEVICES: usize = 4;

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    /// The whole process without connections, after some came and went.
    without: u64,
    /// Per connection: Engine.IO open, no CONNECT.
    opened: f64,
    /// Per connection that has authenticated.
    authenticated: f64,
    /// Per connection that has also joined a match.
    joined: f64,
    /// The same after each user's inbox has had events; the reference has no inboxes.
    heard: Option<f64>,
}

/// The parts of an authenticated connection, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    /// What each further device of a user costs: the connection itself.
    socket: f64,
    /// What the first one costs besides: its user, with the subscription of the inbox.
    user: f64,
}

/// All that was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    connections: usize,
    gateways: u16,
    memory: ByTarget<Memory>,
    parts: Parts,
}

/// Measures and returns the report.
pub async fn run(idle: &Idle) -> anyhow::Result<String> {
    ensure!((2..=MOST).contains(&idle.connections), "--connections must be 2 to {MOST}: each is a file");
    let mut memory = ByTarget::new();
    let mut gateways = Target::gateways(idle.gateways, &idle.env).await?;
    let alone = measure(&mut gateways, idle.connections, 1).await?;
    drop(gateways);
    memory.insert("gateway".to_owned(), alone);
    if !idle.no_reference {
        let mut reference = Target::reference().await?;
        memory.insert(reference.name.clone(), measure(&mut reference, idle.connections, 1).await?);
    }
    let parts = parts(idle, &alone).await?;
    let outcome = Outcome { connections: idle.connections, gateways: idle.gateways, memory, parts };
    if let Some(file) = &idle.json {
        write_json(file, &outcome)?;
    }
    Ok(report(&outcome))
}

/// Tells the parts of an authenticated connection from each other, given what one costs that is its user's only one.
async fn parts(idle: &Idle, alone: &Memory) -> anyhow::Result<Parts> {
    let mut gateways = Target::gateways(idle.gateways, &idle.env).await?;
    let shared = measure(&mut gateways, idle.connections, DEVICES).await?;
    // alone = socket + user, shared = socket + user / devices
    let devices = number(DEVICES as u64);
    let user = (alone.authenticated - shared.authenticated) * devices / (devices - 1.0);
    Ok(Parts { socket: alone.authenticated - user, user })
}

async fn measure(target: &mut Target, connections: usize, devices: usize) -> anyhow::Result<Memory> {
    eprintln!("bench: {}, {WARM_UP} connections to warm up", target.name);
    let mut crowd = Crowd::open(target, WARM_UP.min(connections), devices).await?;
    for step in [Step::Authenticated, Step::Joined] {
        crowd.take(step).await?;
    }
    crowd.leave().await;
    let without = settled(target).await?;
    let each = |pss: u64| number(pss.saturating_sub(without)) / number(connections as u64);
    eprintln!("bench: {}, {connections} connections, {devices} for each user", target.name);
    let mut crowd = Crowd::open(target, connections, devices).await?;
    let opened = each(settled(target).await?);
    eprintln!("bench: {}, they authenticate", target.name);
    crowd.take(Step::Authenticated).await?;
    let authenticated = each(settled(target).await?);
    eprintln!("bench: {}, they join", target.name);
    crowd.take(Step::Joined).await?;
    let joined = each(settled(target).await?);
    let heard = match target.stack.as_ref().map(|stack| stack.nats_url.clone()) {
        Some(nats_url) => {
            eprintln!("bench: {}, each user's inbox has {EVENTS} events", target.name);
            events::publish(&nats_url, crowd.users()).await?;
            Some(each(settled(target).await?))
        }
        None => None,
    };
    crowd.leave().await;
    Ok(Memory { without, opened, authenticated, joined, heard })
}

async fn settled(target: &mut Target) -> anyhow::Result<u64> {
    settled_pss(&target.processes).await?;
    target.collect_garbage().await?;
    settled_pss(&target.processes).await
}

fn report(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} idle WebSocket connections, {} gateway(s); user-space PSS per connection\n",
        outcome.connections, outcome.gateways
    );
    let figures = |figure: &dyn Fn(&Memory) -> String| -> Vec<String> { outcome.memory.values().map(figure).collect() };
    row(&mut text, "", &outcome.memory.keys().cloned().collect::<Vec<_>>());
    row(&mut text, "open, no CONNECT", &figures(&|memory| kilobytes(memory.opened)));
    row(&mut text, "authenticated", &figures(&|memory| kilobytes(memory.authenticated)));
    row(&mut text, "joined to a match", &figures(&|memory| kilobytes(memory.joined)));
    let heard = |memory: &Memory| memory.heard.map_or_else(String::new, kilobytes);
    row(&mut text, &format!("after {EVENTS} events to each user"), &figures(&heard));
    let megabytes = |memory: &Memory| format!("{:.1} MB", number(memory.without) / 1_048_576.0);
    row(&mut text, "the processes before, in all", &figures(&megabytes));
    let Parts { socket, user } = outcome.parts;
    text += "of an authenticated connection to the gateway\n";
    row(&mut text, "the connection itself", &[kilobytes(socket)]);
    row(&mut text, "its user, with the inbox", &[kilobytes(user)]);
    text
}
