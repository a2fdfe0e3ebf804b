//! A replica of milestone-service: the pure core `milestone` in a shell that is made anew after the real one, and
//! Redis.

mod registers;

pub(crate) use registers::Registers;

use std::{rc::Rc, time::Duration};

use chat_service::command::RecordMilestone;
use milestone_service::milestone::Milestone;
use proto::MatchId;

use crate::{
    channel::Queue,
    executor::ProcessId,
    network::Away,
    stream::{Delivery, Heads},
    world::World,
};
use registers::{IfMissing, Register};

const REOPEN_DELAY: Duration = Duration::from_millis(500);
/// As `milestone-service/src/consumer.rs`.
const WORK_TIMEOUT: Duration = Duration::from_secs(4);
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// A replica of milestone-service.
pub(crate) struct Counter {
    pub(crate) process: ProcessId,
}

impl Counter {
    /// Starts a replica.
    pub(crate) fn start(world: &Rc<World>) -> Rc<Self> {
        let process = world.sim.start();
        world.sim.spawn(process, consume(Rc::clone(world), process));
        Rc::new(Self { process })
    }
}

async fn consume(world: Rc<World>, process: ProcessId) {
    let (mailbox, mut recount_due) = (Queue::default(), false);
    loop {
        if let Ok(is_new) = world.stream.open(process, &mailbox).await {
            recount_due |= is_new;
            if recount_due && recount(&world).await.is_ok() {
                recount_due = false;
            }
            if !recount_due {
                work_until_lost(&world, process, &mailbox).await;
            }
        }
        world.sim.sleep(REOPEN_DELAY).await;
    }
}

async fn work_until_lost(world: &Rc<World>, process: ProcessId, mailbox: &Queue<Delivery>) {
    loop {
        let delivery = mailbox.pop().await;
        if matches!(delivery, Delivery::Reopen) {
            return;
        }
        world.sim.spawn(process, work_on(Rc::clone(world), process, delivery));
    }
}

async fn work_on(world: Rc<World>, process: ProcessId, delivery: Delivery) {
    let Delivery::Event { number, life, deliveries, heads } = &delivery else { return };
    if let Some(Ok(())) = world.sim.timeout(WORK_TIMEOUT, count(&world, heads)).await {
        return world.stream.ack(process, *number, *life);
    }
    let delay = FIRST_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(deliveries - 1)).min(MAX_RETRY_DELAY);
    world.stream.deliver_after(delay, delivery);
}

/// Takes the heads in. When it returns, every milestone that they reach is recorded. A head that was heard of is
/// committed, so it proves without Redis what it reaches.
async fn count(world: &Rc<World>, heads: &Heads) -> Result<(), Away> {
    if world.registers.is_up() {
        let counted = count_in_registers(world, heads).await;
        if counted.is_ok() || world.registers.is_up() {
            return counted;
        }
    }
    for (id, seq) in heads {
        for milestone in world.cast.milestones.reached(*seq) {
            record(world, id, milestone).await?;
        }
    }
    Ok(())
}

async fn count_in_registers(world: &Rc<World>, heads: &Heads) -> Result<(), Away> {
    for (id, seq) in heads {
        let register = match world.registers.raise(id, *seq, IfMissing::Leave, world.mistake).await? {
            Some(register) => Some(register),
            None => rebuild(world, id).await?,
        };
        if let Some(register) = register {
            for milestone in world.cast.milestones.due(register.count, &register.recorded) {
                record(world, id, milestone).await?;
            }
        }
    }
    Ok(())
}

/// A register that Redis does not have starts from the committed head.
async fn rebuild(world: &Rc<World>, id: &MatchId) -> Result<Option<Register>, Away> {
    let Some(head) = committed(world, vec![id.clone()]).await?.pop() else { return Ok(None) };
    world.registers.raise(id, head.1, IfMissing::Create, world.mistake).await
}

/// Counts every match that has a register from its committed head.
async fn recount(world: &Rc<World>) -> Result<(), Away> {
    let ids = world.registers.scan().await?;
    let heads = committed(world, ids).await?.into_iter().collect();
    count(world, &heads).await
}

async fn committed(world: &Rc<World>, ids: Vec<MatchId>) -> Result<Vec<(MatchId, i64)>, Away> {
    let replica = world.any_replica().ok_or(Away)?;
    let asked = Rc::clone(&world.store).heads(ids.iter().map(ToString::to_string).collect(), false);
    let heads = world.net.call(replica.process, asked).await?;
    Ok(heads.into_iter().filter_map(|head| Some((MatchId::new(head.match_id).ok()?, head.last_seq))).collect())
}

async fn record(world: &Rc<World>, id: &MatchId, milestone: &Milestone) -> Result<(), Away> {
    let Milestone { id: name, threshold, unlocks } = milestone.clone();
    let replica = world.any_replica().ok_or(Away)?;
    let reached = RecordMilestone { match_id: id.clone(), milestone_id: name.clone(), threshold, unlocks };
    let recording = Rc::clone(&replica).change(Rc::clone(world), reached);
    // A register that is not brought up to date leads to a record that was made before.
    let _ = if world.net.call(replica.process, recording).await? {
        world.registers.mark_recorded(id, &name).await
    } else {
        world.registers.forget(id).await
    };
    Ok(())
}
