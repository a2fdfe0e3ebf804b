//! Announces recorded milestones: who records at once, and a poll finds what a crash left over.

use std::{rc::Rc, time::Duration};

use proto::MatchId;

use super::tell_members;
use crate::{
    executor::ProcessId,
    network::{Away, Inbox},
    world::World,
};

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A claim holds locks, so telling must not take long.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Announces what is left over, for ever.
pub(super) async fn run(world: Rc<World>, process: ProcessId) {
    loop {
        // What cannot be announced now is announced later.
        let _ = announce(&world, process, None).await;
        world.sim.sleep(POLL_INTERVAL).await;
    }
}

/// Announces what is recorded and unannounced, of one match or of all.
pub(super) async fn announce(world: &Rc<World>, process: ProcessId, only: Option<&MatchId>) -> Result<(), Away> {
    let claim = world.store.claim_unannounced(only).await?;
    for (id, milestone) in &claim.milestones {
        let Some(chat) = world.cast.chat(id.as_str()) else { continue };
        let event = Rc::new(Inbox::Milestone(id.clone(), milestone.clone()));
        tell_members(world, process, world.cast.chats[chat].members, &event);
    }
    if !claim.milestones.is_empty() && world.sim.timeout(TELL_TIMEOUT, world.net.flush(process)).await == Some(true) {
        claim.settle().await?;
    }
    Ok(())
}
