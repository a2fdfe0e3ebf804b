//! Notes which milestones were announced, and announces what was left over: the pure `Leftovers` of chat-service in a
//! shell that is made after `chat-service/src/announcer.rs`.

use std::{rc::Rc, time::Duration};

use chat_service::{
    audience::Audience,
    leftovers::{Leftovers, MilestoneName},
};
use proto::{
    MatchId,
    chat::Milestone,
    inbox::{MilestoneReached, chat_event::Event},
};

use super::{posted::Posted, tell};
use crate::{channel::Queue, executor::ProcessId, network::Away, world::World};

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// What NATS has not taken by then is left to the poll.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the lanes say which milestones they have told the members of.
pub(super) type Told = Queue<MilestoneName>;

/// Works until the process dies.
pub(super) async fn run(world: Rc<World>, process: ProcessId, (posted, told): (Posted, Told)) {
    let (mut leftovers, mut poll_at) = (Leftovers::default(), world.sim.now());
    loop {
        // What cannot be noted or announced now is announced later.
        let wait = poll_at.saturating_sub(world.sim.now());
        let first = if wait.is_zero() { None } else { world.sim.timeout(wait, told.pop()).await };
        let _ = if let Some(first) = first {
            let mut names = vec![first];
            names.extend(std::iter::from_fn(|| told.try_pop()));
            note_as_announced(&world, process, names).await
        } else {
            poll_at = world.sim.now() + POLL_INTERVAL;
            announce_left(&world, process, &posted, &mut leftovers).await
        };
    }
}

/// Notes what was told, once NATS has taken it.
async fn note_as_announced(world: &World, process: ProcessId, told: Vec<MilestoneName>) -> Result<(), Away> {
    if world.sim.timeout(TELL_TIMEOUT, world.net.flush(process)).await == Some(true) {
        world.store.mark_announced(told).await?;
    }
    Ok(())
}

/// Announces what was left over.
async fn announce_left(
    world: &World,
    process: ProcessId,
    posted: &Posted,
    leftovers: &mut Leftovers,
) -> Result<(), Away> {
    let unannounced = world.store.unannounced().await?;
    let name = |(id, milestone, _): &(MatchId, Milestone, Audience)| (id.clone(), milestone.milestone_id.clone());
    let owned = posted.backlog().owned.clone().unwrap_or_default();
    let due = leftovers.due(unannounced, &owned, name);
    if due.is_empty() || !world.net.is_up(process) {
        return Ok(());
    }
    let names = due.iter().map(name).collect();
    for (id, milestone, audience) in due {
        let event = MilestoneReached { match_id: id.to_string(), milestone: Some(milestone) };
        tell(world, process, &audience, Event::MilestoneReached(event));
    }
    note_as_announced(world, process, names).await
}
