//! What the gateway costs: memory of idle connections, processor time of relayed messages, beside socket.io from npm.

pub mod crowd;
pub mod events;
pub mod idle;
pub mod process;
pub mod relay;
pub mod table;
pub mod talkers;
pub mod target;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Serialize;

/// Names of users and matches of one run, so that runs never meet.
pub fn run_name() -> String {
    format!("bench{:08x}", fastrand::u32(..))
}

/// Writes a result as JSON.
pub fn write_json(file: &Path, result: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(result)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// What was measured, by the name of who was.
pub type ByTarget<T> = BTreeMap<String, T>;
