//! Notices who ends though no fault wants it so, and starts it again, as an orchestrator would.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use local_stack::{Stack, stack::Role};
use tokio::time::{Instant, sleep};

use super::targets;

/// How often it is looked whether a process has ended by itself.
const WATCH: Duration = Duration::from_millis(100);
/// Before a process that ended by itself is started again.
const REVIVE_AFTER: Duration = Duration::from_secs(1);
/// How often a process may end by itself before the run is given up.
const MAX_UNASKED_ENDS: usize = 50;

/// A process that ended though nobody had ended it.
#[derive(Clone, Debug)]
pub struct UnaskedEnd {
    /// Which.
    pub name: String,
    /// What part of the system it is.
    pub role: Role,
    /// How, with its last words.
    pub obituary: String,
}

/// Watches the processes of a stack.
#[derive(Debug, Default)]
pub(super) struct Orchestrator {
    /// Who is down because a fault wants it so.
    down: BTreeSet<String>,
    /// Who ended by itself, and when it is started again.
    waiting: Vec<(Instant, String)>,
    unasked: Vec<UnaskedEnd>,
}

impl Orchestrator {
    /// Who has ended without being asked to.
    pub(super) fn unasked_ends(&self) -> &[UnaskedEnd] {
        &self.unasked
    }

    /// A fault has a process down.
    pub(super) fn expect_down(&mut self, name: &str) {
        self.down.insert(name.to_owned());
    }

    /// A process runs again.
    pub(super) fn expect_up(&mut self, name: &str) {
        self.down.remove(name);
        self.waiting.retain(|(_, waiting)| waiting != name);
    }

    /// Passes the time, and starts those again that end by themselves.
    pub(super) async fn watch(&mut self, stack: &mut Stack, until: Instant) -> Result<()> {
        loop {
            let now = Instant::now();
            self.look(stack);
            ensure!(self.unasked.len() <= MAX_UNASKED_ENDS, "processes end again and again: {:?}", self.unasked.last());
            while let Some(at) = self.waiting.iter().position(|(at, _)| *at <= now) {
                let (_, name) = self.waiting.swap_remove(at);
                targets::daemon(&name, stack)?.launch()?;
            }
            if now >= until && self.waiting.is_empty() {
                return Ok(());
            }
            sleep(WATCH.min(until.saturating_duration_since(now).max(Duration::from_millis(1)))).await;
        }
    }

    /// Notes who has ended by itself since the last look.
    pub(super) fn look(&mut self, stack: &mut Stack) {
        for member in stack.members_mut() {
            let name = member.daemon.name().to_owned();
            let is_known = self.down.contains(&name) || self.waiting.iter().any(|(_, waiting)| *waiting == name);
            if !is_known && !member.daemon.is_running() {
                self.waiting.push((Instant::now() + REVIVE_AFTER, name.clone()));
                self.unasked.push(UnaskedEnd { name, role: member.role, obituary: member.daemon.obituary() });
            }
        }
    }
}
