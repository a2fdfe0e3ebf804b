//! Announces recorded milestones: who records at once, and a poll finds what a crash left over.

use std::{rc::Rc, time::Duration};

use super::tell_members;
use crate::{
    executor::ProcessId,
    network::{Away, Inbox},
    world::World,
};

const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Announces what is left over, for ever.
pub(super) async fn run(world: Rc<World>, process: ProcessId) {
    loop {
        // What cannot be announced now is announced later.
        let _ = announce(&world, process).await;
        world.sim.sleep(POLL_INTERVAL).await;
    }
}

/// Announces what is recorded and unannounced.
pub(super) async fn announce(world: &Rc<World>, process: ProcessId) -> Result<(), Away> {
    let claim = world.store.claim_unannounced().await?;
    for (id, milestone) in &claim.milestones {
        let Some(chat) = world.cast.chat(id.as_str()) else { continue };
        let event = Rc::new(Inbox::Milestone(id.clone(), milestone.clone()));
        tell_members(world, process, world.cast.chats[chat].members, &event);
    }
    if !claim.milestones.is_empty() {
        // The flush.
        world.sim.sleep(world.net.delay()).await;
        claim.settle().await?;
    }
    Ok(())
}
