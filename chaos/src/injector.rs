//! Lets the faults of a schedule strike a running stack, and brings back what dies.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use local_stack::{Stack, daemon::Daemon, proxy::Condition, stack::Role};
use tokio::time::{Instant, sleep, timeout};

use crate::schedule::{Fault, Kind, Schedule};

mod disk;
mod lock;

use disk::Disk;
use lock::TableLock;

/// How often it is looked whether a process has ended by itself.
const WATCH: Duration = Duration::from_millis(100);
/// How long a rolling restart waits for each to get fit.
const ROLL_PATIENCE: Duration = Duration::from_secs(5);
/// Before a process that ended by itself is started again, as an orchestrator would.
const REVIVE_AFTER: Duration = Duration::from_secs(1);
/// How often a process may end by itself before the run is given up.
const MAX_UNASKED_ENDS: usize = 50;

/// A fault that has struck, with the times at which it really did.
#[derive(Clone, Debug)]
pub struct Struck {
    /// What was planned.
    pub fault: Fault,
    /// When it struck.
    pub began: Instant,
    /// When it was mended; absent while it lasts.
    pub ended: Option<Instant>,
}

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

/// Owns the stack of a run.
#[derive(Debug)]
pub struct Injector {
    stack: Stack,
    schedule: Schedule,
    struck: Vec<Struck>,
    unasked: Vec<UnaskedEnd>,
    /// Who is down because a fault wants it so.
    down: BTreeSet<String>,
    lock: Option<TableLock>,
    disk: Disk,
}

/// One end of a fault in time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Edge {
    Strike,
    Mend,
}

impl Injector {
    /// Takes over a stack.
    ///
    /// # Errors
    /// When a fault is meant for somebody or a link that the stack does not have.
    pub fn new(mut stack: Stack, schedule: Schedule) -> Result<Self> {
        for fault in schedule.faults() {
            check(fault, &mut stack)?;
        }
        let disk = Disk::default();
        Ok(Self { stack, schedule, struck: Vec::new(), unasked: Vec::new(), down: BTreeSet::new(), lock: None, disk })
    }

    /// The stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What has struck so far.
    pub fn struck(&self) -> &[Struck] {
        &self.struck
    }

    /// Who has ended without being asked to.
    pub fn unasked_ends(&self) -> &[UnaskedEnd] {
        &self.unasked
    }

    /// Lets everything strike and mends it, each at its time after `start`, then watches until `until`.
    ///
    /// # Errors
    /// When a fault cannot be injected, or a process does not come back.
    pub async fn run(&mut self, start: Instant, until: Instant) -> Result<()> {
        for (at, edge, fault) in steps(&self.schedule) {
            self.watch_until(start + at).await?;
            let outcome = match edge {
                Edge::Strike => self.strike(&fault).await,
                Edge::Mend => self.mend(&fault).await,
            };
            outcome.with_context(|| format!("cannot go on with the fault {fault}"))?;
        }
        self.watch_until(until).await
    }

    /// Mends whatever is still broken, and waits until everybody is fit to serve.
    ///
    /// # Errors
    /// When somebody does not get fit.
    pub async fn heal(&mut self) -> Result<()> {
        self.lock = None;
        self.disk.free().await;
        for name in self.stack.links().names().map(str::to_owned).collect::<Vec<_>>() {
            self.set_link(&name, Condition::Open);
        }
        for name in self.names() {
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

    async fn strike(&mut self, fault: &Fault) -> Result<()> {
        self.struck.push(Struck { fault: fault.clone(), began: Instant::now(), ended: None });
        match fault.kind {
            Kind::Kill | Kind::Freeze | Kind::Stop | Kind::Clock(_) => self.strike_processes(fault).await,
            Kind::Roll => self.roll(&fault.target).await,
            Kind::Cut | Kind::Slow(_) | Kind::Silent | Kind::HalfOpen => {
                self.set_link(&fault.target, condition(fault.kind));
                Ok(())
            }
            Kind::Wipe => self.stack.wipe(&fault.target).await,
            Kind::LameDuck => self.lame_duck(&fault.target).await,
            Kind::Flush => self.flush().await,
            Kind::Promote => self.stack.promote_postgres().await,
            Kind::DiskFull => self.fill_disk(&fault.target).await,
            Kind::Lock => {
                self.lock = Some(TableLock::take(&self.stack.manifest().database_url, &fault.target)?);
                Ok(())
            }
        }
    }

    async fn strike_processes(&mut self, fault: &Fault) -> Result<()> {
        let names = self.targets(&fault.target);
        for name in &names {
            match fault.kind {
                Kind::Kill => {
                    self.down.insert(name.clone());
                    self.daemon(name)?.kill();
                }
                Kind::Freeze => self.daemon(name)?.freeze(),
                Kind::Clock(offset_s) => self.set_clock(name, offset_s)?,
                _ => {
                    self.down.insert(name.clone());
                    self.daemon(name)?.request_stop()?;
                }
            }
        }
        if fault.kind == Kind::Stop {
            for name in &names {
                self.daemon(name)?.ended().await?;
            }
        }
        Ok(())
    }

    async fn mend(&mut self, fault: &Fault) -> Result<()> {
        match fault.kind {
            Kind::Freeze => {
                for name in self.targets(&fault.target) {
                    self.daemon(&name)?.thaw();
                }
            }
            Kind::Clock(_) => {
                for name in self.targets(&fault.target) {
                    self.set_clock(&name, 0)?;
                }
            }
            Kind::Promote => self.stack.rejoin_postgres().await?,
            Kind::Kill | Kind::Stop | Kind::LameDuck => {
                self.revive_all(&fault.target).await?;
            }
            Kind::Cut | Kind::Slow(_) | Kind::Silent | Kind::HalfOpen => {
                self.set_link(&fault.target, Condition::Open);
            }
            Kind::DiskFull => self.disk.free().await,
            Kind::Lock => self.lock = None,
            Kind::Roll | Kind::Flush | Kind::Wipe => {}
        }
        if let Some(struck) = self.struck.iter_mut().rev().find(|struck| struck.fault == *fault) {
            struck.ended = Some(Instant::now());
        }
        Ok(())
    }

    /// One after the other, each only when the one before is fit again: as an orchestrator does it.
    async fn roll(&mut self, target: &str) -> Result<()> {
        for name in self.targets(target) {
            self.daemon(&name)?.stop().await?;
            self.daemon(&name)?.start_again().await?;
            // It may be another fault that keeps it from getting fit, which is mended after this.
            let _ = timeout(ROLL_PATIENCE, self.stack.fit()).await;
        }
        Ok(())
    }

    async fn lame_duck(&mut self, target: &str) -> Result<()> {
        // Another fault may have it down: then it has no clients to send away.
        if self.daemon(target)?.is_running() {
            self.down.insert(target.to_owned());
            self.stack.lame_duck(target).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        // One that is down or frozen by another fault hears nothing.
        if self.daemon("redis")?.is_ready().await { self.stack.flush_redis().await } else { Ok(()) }
    }

    async fn fill_disk(&mut self, target: &str) -> Result<()> {
        for name in self.targets(target) {
            if let Some(pid) = self.daemon(&name)?.pid() {
                self.disk.fill(pid).await?;
            }
        }
        Ok(())
    }

    /// All launched at once, for nodes of a cluster need each other.
    async fn revive_all(&mut self, target: &str) -> Result<()> {
        let names = self.targets(target);
        for name in &names {
            let daemon = self.daemon(name)?;
            if !daemon.is_running() {
                daemon.launch()?;
            }
        }
        for name in &names {
            self.revive(name).await?;
        }
        Ok(())
    }

    async fn revive(&mut self, name: &str) -> Result<()> {
        self.daemon(name)?.start_again().await?;
        self.down.remove(name);
        Ok(())
    }

    /// Passes the time, and brings back those who end by themselves.
    async fn watch_until(&mut self, until: Instant) -> Result<()> {
        let mut revivals: Vec<(Instant, String)> = Vec::new();
        loop {
            let now = Instant::now();
            self.notice_unasked_ends(now, &mut revivals)?;
            while let Some(at) = revivals.iter().position(|(at, _)| *at <= now) {
                let (_, name) = revivals.swap_remove(at);
                self.daemon(&name)?.launch()?;
            }
            if now >= until && revivals.is_empty() {
                return Ok(());
            }
            sleep(WATCH.min(until.saturating_duration_since(now).max(Duration::from_millis(1)))).await;
        }
    }

    fn notice_unasked_ends(&mut self, now: Instant, revivals: &mut Vec<(Instant, String)>) -> Result<()> {
        for member in self.stack.members_mut() {
            let name = member.daemon.name().to_owned();
            let is_known = self.down.contains(&name) || revivals.iter().any(|(_, waiting)| *waiting == name);
            if !is_known && !member.daemon.is_running() {
                revivals.push((now + REVIVE_AFTER, name.clone()));
                self.unasked.push(UnaskedEnd { name, role: member.role, obituary: member.daemon.obituary() });
            }
        }
        ensure!(self.unasked.len() <= MAX_UNASKED_ENDS, "processes end again and again: {:?}", self.unasked.last());
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

    fn names(&mut self) -> Vec<String> {
        self.stack.members_mut().iter().map(|member| member.daemon.name().to_owned()).collect()
    }

    /// One process, as the stack names it (`postgres` is the primary), else all of a kind.
    fn targets(&mut self, target: &str) -> Vec<String> {
        match self.stack.member_mut(target) {
            Some(member) => vec![member.daemon.name().to_owned()],
            None => self.names().into_iter().filter(|name| is_meant(target, name)).collect(),
        }
    }

    fn daemon(&mut self, name: &str) -> Result<&mut Daemon> {
        let member = self.stack.member_mut(name).with_context(|| format!("nobody is called {name}"))?;
        Ok(&mut member.daemon)
    }
}

/// `nats` means `nats`, or `nats-0`, `nats-1`, …
fn is_meant(target: &str, name: &str) -> bool {
    let number = name.strip_prefix(target).and_then(|rest| rest.strip_prefix('-'));
    name == target || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

fn count_of(target: &str, stack: &mut Stack) -> usize {
    stack.members_mut().iter().filter(|member| is_meant(target, member.daemon.name())).count()
}

fn condition(kind: Kind) -> Condition {
    match kind {
        Kind::Cut => Condition::Cut,
        Kind::Slow(ms) => Condition::Slow(Duration::from_millis(ms.unsigned_abs())),
        Kind::Silent => Condition::Silent,
        Kind::HalfOpen => Condition::HalfOpen,
        _ => Condition::Open,
    }
}

/// Both ends of every fault, in order of time; of what happens at the same time the strikes come first.
fn steps(schedule: &Schedule) -> Vec<(Duration, Edge, Fault)> {
    let mut steps: Vec<(Duration, Edge, Fault)> = Vec::new();
    for fault in schedule.faults() {
        steps.push((fault.at, Edge::Strike, fault.clone()));
        steps.push((fault.end(), Edge::Mend, fault.clone()));
    }
    steps.sort_by_key(|(at, edge, _)| (*at, *edge));
    steps
}

fn check(fault: &Fault, stack: &mut Stack) -> Result<()> {
    let target = &fault.target;
    let is_member = count_of(target, stack) > 0;
    let is_pair = count_of("postgres", stack) > 1;
    let is_there = match fault.kind {
        kind if kind.is_of_links() => stack.links().get(target).is_some(),
        Kind::Lock => lock::TABLES.contains(&target.as_str()),
        Kind::Wipe => is_member && target.starts_with("nats"),
        Kind::LameDuck => stack.member_mut(target).is_some() && target.starts_with("nats"),
        Kind::Flush => target == "redis",
        Kind::Promote => target == "postgres" && is_pair,
        _ => is_member,
    };
    ensure!(is_there, "--schedule: this set-up has nothing for {fault}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_process_or_all_of_a_kind() {
        assert!(is_meant("nats", "nats") && is_meant("nats", "nats-2") && is_meant("chat-service-1", "chat-service-1"));
        assert!(
            !is_meant("chat", "chat-service-0") && !is_meant("nats-1", "nats-11") && !is_meant("gateway-", "gateway-0")
        );
    }

    #[test]
    fn faults_strike_and_are_mended_by_time() {
        let schedule = "1+4 kill a-0; 2+1 freeze b-0; 3 flush redis".parse().unwrap();
        let steps: Vec<String> =
            steps(&schedule).iter().map(|(at, edge, fault)| format!("{at:?} {edge:?} {}", fault.target)).collect();
        assert_eq!(
            steps,
            ["1s Strike a-0", "2s Strike b-0", "3s Strike redis", "3s Mend b-0", "3s Mend redis", "5s Mend a-0"]
        );
    }
}
