//! A replica of milestone-service: the pure core `milestone` in a shell that is made anew after the real one.

use std::{rc::Rc, time::Duration};

use chat_service::command::RecordMilestone;
use milestone_service::milestone::Milestone;
use proto::MatchId;

use crate::{
    channel::Queue,
    executor::ProcessId,
    network::Away,
    registers::{IfMissing, Register},
    replicas::Replicas,
    stream::{Event, Heads},
    world::World,
};

const REOPEN_DELAY: Duration = Duration::from_millis(500);
/// As `milestone-service/src/consumer.rs`.
const WORK_TIMEOUT: Duration = Duration::from_secs(4);
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// A replica of milestone-service.
struct Counter {
    world: Rc<World>,
    replicas: Rc<Replicas>,
    process: ProcessId,
}

/// Starts a replica.
pub(crate) fn start(world: &Rc<World>, replicas: &Rc<Replicas>, process: ProcessId) {
    let counter = Counter { world: Rc::clone(world), replicas: Rc::clone(replicas), process };
    world.sim.spawn(process, Rc::new(counter).consume());
}

impl Counter {
    async fn consume(self: Rc<Self>) {
        let (mailbox, mut recount_due) = (Queue::default(), false);
        loop {
            if let Ok(is_new) = self.world.stream.open(self.process, &mailbox).await {
                recount_due |= is_new;
                if recount_due && self.recount().await.is_ok() {
                    recount_due = false;
                }
                // As long as the stream is the same.
                while !recount_due && let Some(event) = mailbox.pop().await {
                    self.world.sim.spawn(self.process, Rc::clone(&self).work_on(event));
                }
            }
            self.world.sim.sleep(REOPEN_DELAY).await;
        }
    }

    async fn work_on(self: Rc<Self>, event: Event) {
        let World { sim, stream, .. } = &*self.world;
        if let Some(Ok(())) = sim.timeout(WORK_TIMEOUT, self.count(&event.heads)).await {
            return stream.ack(self.process, &event);
        }
        let delay = FIRST_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(event.deliveries - 1)).min(MAX_RETRY_DELAY);
        stream.deliver_after(delay, event);
    }

    /// Takes the heads in. When it returns, every milestone that they reach is recorded. A head that was heard of is
    /// committed, so it proves without Redis what it reaches.
    async fn count(&self, heads: &Heads) -> Result<(), Away> {
        let redis = &self.world.registers.host;
        if redis.is_up() {
            let counted = self.count_in_registers(heads).await;
            if counted.is_ok() || redis.is_up() {
                return counted;
            }
        }
        for (id, seq) in heads {
            for milestone in self.world.cast.milestones.reached(*seq) {
                self.record(id, milestone).await?;
            }
        }
        Ok(())
    }

    async fn count_in_registers(&self, heads: &Heads) -> Result<(), Away> {
        for (id, seq) in heads {
            let register = match self.world.registers.raise(id, *seq, IfMissing::Leave).await? {
                Some(register) => Some(register),
                None => self.rebuild(id).await?,
            };
            if let Some(register) = register {
                for milestone in self.world.cast.milestones.due(register.count, &register.recorded) {
                    self.record(id, milestone).await?;
                }
            }
        }
        Ok(())
    }

    /// A register that Redis does not have starts from the committed head.
    async fn rebuild(&self, id: &MatchId) -> Result<Option<Register>, Away> {
        let Some((_, head)) = self.committed(vec![id.clone()]).await?.pop_first() else { return Ok(None) };
        self.world.registers.raise(id, head, IfMissing::Create).await
    }

    /// Counts every match that has a register from its committed head.
    async fn recount(&self) -> Result<(), Away> {
        let ids = self.world.registers.scan().await?;
        self.count(&self.committed(ids).await?).await
    }

    async fn committed(&self, ids: Vec<MatchId>) -> Result<Heads, Away> {
        let ids = ids.iter().map(ToString::to_string).collect();
        let heads = self.replicas.read(|store| store.heads(ids, false)).await?;
        Ok(heads.into_iter().filter_map(|head| Some((MatchId::new(head.match_id).ok()?, head.last_seq))).collect())
    }

    async fn record(&self, id: &MatchId, milestone: &Milestone) -> Result<(), Away> {
        let Milestone { id: milestone_id, threshold, unlocks, .. } = milestone.clone();
        let reached = RecordMilestone { match_id: id.clone(), milestone_id, threshold, unlocks, of_groups: false };
        // A register that is not brought up to date leads to a record that was made before.
        let _ = if self.replicas.change(reached).await?.is_ok() {
            self.world.registers.mark_recorded(id, &milestone.id).await
        } else {
            self.world.registers.forget(id).await
        };
        Ok(())
    }
}
