//! Notes which milestones were announced, and announces what was left over: the pure `Leftovers` of chat-service in a
//! shell that is made after `chat-service/src/announcer.rs`.

use std::{iter, rc::Rc, time::Duration};

use chat_service::{
    audience::Audience,
    leftovers::{Leftovers, MilestoneName},
};
use proto::{
    MatchId,
    chat::Milestone,
    inbox::{MilestoneReached, chat_event::Event},
};

use super::Replica;
use crate::network::Away;

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// What NATS has not taken by then is left to the poll.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

impl Replica {
    /// Works until the process dies.
    pub(super) async fn announce(self: Rc<Self>) {
        let sim = &self.world.sim;
        let (mut leftovers, mut poll_at) = (Leftovers::default(), sim.now());
        loop {
            // What cannot be noted or announced now is announced later.
            let wait = poll_at.saturating_sub(sim.now());
            let first = if wait.is_zero() { None } else { sim.timeout(wait, self.told.pop()).await };
            let _ = if let Some(first) = first {
                let more = iter::from_fn(|| self.told.try_pop());
                self.note_as_announced(iter::once(first).chain(more).collect()).await
            } else {
                poll_at = sim.now() + POLL_INTERVAL;
                self.announce_left(&mut leftovers).await
            };
        }
    }

    /// Notes what was told, once NATS has taken it.
    async fn note_as_announced(&self, told: Vec<MilestoneName>) -> Result<(), Away> {
        if self.world.sim.timeout(TELL_TIMEOUT, self.world.net.flush(self.process)).await == Some(true) {
            self.world.store.mark_announced(told).await?;
        }
        Ok(())
    }

    async fn announce_left(&self, leftovers: &mut Leftovers) -> Result<(), Away> {
        let unannounced = self.world.store.unannounced().await?;
        let name = |(id, milestone, _): &(MatchId, Milestone, Audience)| (id.clone(), milestone.milestone_id.clone());
        let owned = self.posted.backlog().owned.clone().unwrap_or_default();
        let due = leftovers.due(unannounced, &owned, name);
        if due.is_empty() || !self.world.net.is_up(self.process) {
            return Ok(());
        }
        let names = due.iter().map(name).collect();
        for (id, milestone, audience) in due {
            let event = MilestoneReached { match_id: id.to_string(), milestone: Some(milestone) };
            self.tell(&audience, Event::MilestoneReached(event));
        }
        self.note_as_announced(names).await
    }
}
