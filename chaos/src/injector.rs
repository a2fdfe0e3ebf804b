//! Lets the faults of a schedule strike a running stack, and brings back what dies.

use anyhow::{Context as _, Result};
use local_stack::{Stack, daemon::Daemon, proxy::Condition};
use tokio::time::Instant;

use crate::schedule::{Edge, Fault, Schedule};

mod disk;
mod lock;
mod orchestrator;
mod strikes;
mod targets;

use disk::Disk;
use lock::TableLock;
use orchestrator::Orchestrator;
pub use orchestrator::UnaskedEnd;

/// A fault that has struck, with the times at which it really did.
#[derive(Clone, Debug)]
pub struct Struck {
    /// What was planned.
    pub fault: Fault,
    /// What it is counted as: [`Fault::label`], or for example `kill standby`.
    pub label: String,
    /// When it struck.
    pub began: Instant,
    /// When it was mended; absent while it lasts.
    pub ended: Option<Instant>,
}

/// Owns the stack of a run.
#[derive(Debug)]
pub struct Injector {
    stack: Stack,
    schedule: Schedule,
    struck: Vec<Struck>,
    orchestrator: Orchestrator,
    lock: Option<TableLock>,
    disk: Disk,
    /// Services that were asked to end, and had to be killed.
    overdue: Vec<String>,
}

impl Injector {
    /// Takes over a stack.
    ///
    /// # Errors
    /// When a fault is meant for somebody or a link that the stack does not have.
    pub fn new(mut stack: Stack, schedule: Schedule) -> Result<Self> {
        for fault in schedule.faults() {
            targets::check(fault, &mut stack)?;
        }
        let (orchestrator, disk) = (Orchestrator::default(), Disk::default());
        Ok(Self { stack, schedule, struck: Vec::new(), orchestrator, lock: None, disk, overdue: Vec::new() })
    }

    /// The stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What has struck so far.
    pub fn struck(&self) -> &[Struck] {
        &self.struck
    }

    /// Who has ended without being asked to, up to now.
    pub fn unasked_ends(&mut self) -> &[UnaskedEnd] {
        self.orchestrator.look(&mut self.stack);
        self.orchestrator.unasked_ends()
    }

    /// Services that did not end in the time that an orderly stop has, and were killed.
    pub fn overdue(&self) -> &[String] {
        &self.overdue
    }

    /// Lets everything strike and mends it, each at its time after `start`, then watches until `until`.
    ///
    /// # Errors
    /// When a fault cannot be injected, or a process does not come back.
    pub async fn run(&mut self, start: Instant, until: Instant) -> Result<()> {
        for (at, edge, fault) in self.schedule.steps() {
            self.orchestrator.watch(&mut self.stack, start + at).await?;
            let outcome = match edge {
                Edge::Strike => self.begin(&fault).await,
                Edge::Mend => self.end(&fault).await,
            };
            outcome.with_context(|| format!("cannot go on with the fault {fault}"))?;
        }
        self.orchestrator.watch(&mut self.stack, until).await
    }

    async fn begin(&mut self, fault: &Fault) -> Result<()> {
        // Which of the two it is changes with each promotion.
        let is_standby = self.stack.standby_name() == Some(&fault.target);
        let label = if is_standby { format!("{} standby", fault.kind.name()) } else { fault.label() };
        self.struck.push(Struck { fault: fault.clone(), label, began: Instant::now(), ended: None });
        self.strike(fault).await
    }

    async fn end(&mut self, fault: &Fault) -> Result<()> {
        self.mend(fault).await?;
        if let Some(struck) = self.struck.iter_mut().rev().find(|struck| struck.fault == *fault) {
            struck.ended = Some(Instant::now());
        }
        Ok(())
    }

    /// Mends whatever is still broken, and waits until everybody is fit to serve.
    pub async fn heal(&mut self) -> Result<()> {
        self.lock = None;
        self.disk.free().await;
        for name in self.stack.links().names().map(str::to_owned).collect::<Vec<_>>() {
            self.set_link(&name, Condition::Open);
        }
        self.orchestrator.look(&mut self.stack);
        for name in targets::names(&mut self.stack) {
            self.set_clock(&name, 0)?;
            self.daemon(&name)?.thaw();
            self.revive(&name).await?;
        }
        let now = Instant::now();
        for struck in self.struck.iter_mut().filter(|struck| struck.ended.is_none()) {
            struck.ended = Some(now);
        }
        self.stack.fit().await
    }

    /// Ends the stack in good order.
    pub async fn stop(self) {
        self.stack.stop().await;
    }

    async fn revive(&mut self, name: &str) -> Result<()> {
        // Who has ended by itself is noted before it runs again.
        self.orchestrator.look(&mut self.stack);
        self.daemon(name)?.start_again().await?;
        self.orchestrator.expect_up(name);
        Ok(())
    }

    fn set_link(&self, name: &str, condition: Condition) {
        if let Some(link) = self.stack.links().get(name) {
            link.set(condition);
        }
    }

    fn set_clock(&self, name: &str, offset_s: i64) -> Result<()> {
        self.stack.clocks().map_or(Ok(()), |clocks| clocks.set(name, offset_s))
    }

    fn daemon(&mut self, name: &str) -> Result<&mut Daemon> {
        targets::daemon(name, &mut self.stack)
    }
}
