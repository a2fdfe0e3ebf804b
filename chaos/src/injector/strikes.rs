//! What each kind of fault does to a stack, and what ends it.

use std::time::Duration;

use anyhow::Result;
use local_stack::{proxy::Condition, stack::Role};
use tokio::time::timeout;

use super::{Injector, lock::TableLock, targets};
use crate::schedule::{Fault, Kind};

/// How long a rolling restart waits for each to get fit.
const ROLL_PATIENCE: Duration = Duration::from_secs(5);

impl Injector {
    pub(super) async fn strike(&mut self, fault: &Fault) -> Result<()> {
        let target = fault.target.as_str();
        match fault.kind {
            Kind::Kill | Kind::Freeze | Kind::Stop | Kind::Clock(_) => self.strike_processes(fault).await,
            Kind::Roll => self.roll(target).await,
            Kind::Cut | Kind::Slow(_) | Kind::Silent | Kind::HalfOpen => {
                self.set_link(target, condition(fault.kind));
                Ok(())
            }
            Kind::Wipe => self.stack.wipe(target).await,
            Kind::LameDuck => self.lame_duck(target).await,
            Kind::Flush => self.flush().await,
            Kind::Promote => self.promote().await,
            Kind::DiskFull => self.fill_disk(target).await,
            Kind::Lock => {
                self.lock = Some(TableLock::take(&self.stack.manifest().database_url, target)?);
                Ok(())
            }
        }
    }

    pub(super) async fn mend(&mut self, fault: &Fault) -> Result<()> {
        let target = fault.target.as_str();
        match fault.kind {
            Kind::Freeze => {
                for name in targets::meant_by(target, &mut self.stack) {
                    self.daemon(&name)?.thaw();
                }
            }
            Kind::Clock(_) => {
                for name in targets::meant_by(target, &mut self.stack) {
                    self.set_clock(&name, 0)?;
                }
            }
            Kind::Promote => self.rejoin().await?,
            Kind::Kill | Kind::Stop | Kind::LameDuck => self.revive_all(target).await?,
            Kind::Cut | Kind::Slow(_) | Kind::Silent | Kind::HalfOpen => self.set_link(target, Condition::Open),
            Kind::DiskFull => self.disk.free().await,
            Kind::Lock => self.lock = None,
            Kind::Roll | Kind::Flush | Kind::Wipe => {}
        }
        Ok(())
    }

    async fn strike_processes(&mut self, fault: &Fault) -> Result<()> {
        let names = targets::meant_by(&fault.target, &mut self.stack);
        for name in &names {
            match fault.kind {
                Kind::Kill => {
                    self.orchestrator.expect_down(name);
                    self.daemon(name)?.kill();
                }
                Kind::Freeze => self.daemon(name)?.freeze(),
                Kind::Clock(offset_s) => self.set_clock(name, offset_s)?,
                _ => {
                    self.orchestrator.expect_down(name);
                    self.daemon(name)?.request_stop()?;
                }
            }
        }
        if fault.kind == Kind::Stop {
            for name in &names {
                self.await_end(name).await?;
            }
        }
        Ok(())
    }

    /// One after the other, each only when the one before is fit again: as an orchestrator does it.
    async fn roll(&mut self, target: &str) -> Result<()> {
        for name in targets::meant_by(target, &mut self.stack) {
            // Who has ended by itself meanwhile is noted before.
            self.orchestrator.look(&mut self.stack);
            self.orchestrator.expect_down(&name);
            self.daemon(&name)?.request_stop()?;
            self.await_end(&name).await?;
            self.revive(&name).await?;
            // It may be another fault that keeps it from getting fit, which is mended after this.
            let _ = timeout(ROLL_PATIENCE, self.stack.fit()).await;
        }
        Ok(())
    }

    /// A service that is stopped in good order ends by itself, whatever else is broken.
    async fn await_end(&mut self, name: &str) -> Result<()> {
        let member = targets::member(name, &mut self.stack)?;
        if !member.daemon.ended().await? && member.role != Role::Server {
            self.overdue.push(name.to_owned());
        }
        Ok(())
    }

    async fn lame_duck(&mut self, target: &str) -> Result<()> {
        // Another fault may have it down: then it has no clients to send away.
        if self.daemon(target)?.is_running() {
            self.orchestrator.expect_down(target);
            self.stack.lame_duck(target).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        // One that is down or frozen by another fault hears nothing.
        if self.daemon("redis")?.is_ready().await { self.stack.flush_redis().await } else { Ok(()) }
    }

    async fn promote(&mut self) -> Result<()> {
        // One that another fault has down or frozen cannot take over: the primary stays.
        if self.stack.can_promote_postgres().await {
            self.stack.promote_postgres().await?;
            if let Some(old) = self.stack.standby_name() {
                self.orchestrator.expect_down(old);
            }
        }
        Ok(())
    }

    async fn rejoin(&mut self) -> Result<()> {
        if !self.stack.has_standby() {
            self.stack.rejoin_postgres().await?;
            if let Some(new) = self.stack.standby_name() {
                self.orchestrator.expect_up(new);
            }
        }
        Ok(())
    }

    async fn fill_disk(&mut self, target: &str) -> Result<()> {
        for name in targets::meant_by(target, &mut self.stack) {
            if let Some(pid) = self.daemon(&name)?.pid() {
                self.disk.fill(pid).await?;
            }
        }
        Ok(())
    }

    /// All launched at once, for nodes of a cluster need each other.
    async fn revive_all(&mut self, target: &str) -> Result<()> {
        let names = targets::meant_by(target, &mut self.stack);
        self.orchestrator.look(&mut self.stack);
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
