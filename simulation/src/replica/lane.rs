//! Runs what chat-service's `Lanes` decides, on connections to the simulated database.

use std::{rc::Rc, time::Instant};

use chat_service::{
    batch::Decision,
    lanes::{Conclusion, Next, Part, Progress, Reach, TripError, transaction},
    news::News,
    posted::Backlog,
};

use super::{Replica, Ticket};
use crate::{mistake::Mistake, store::Connection};

struct Lane {
    replica: Rc<Replica>,
    number: usize,
    connection: Option<Connection>,
    reach: Reach,
}

impl Replica {
    /// Commits until the process dies.
    pub(super) async fn run_lane(self: Rc<Self>, number: usize) {
        Lane { replica: self, number, connection: None, reach: Reach::default() }.run().await;
    }

    /// Tells what was committed.
    fn tell_committed(&self, progress: Vec<Progress>, news: Vec<News>) {
        for Progress { match_id, last_seq, committed_ms } in progress {
            self.posted.owe(|backlog| backlog.add((&match_id, last_seq), committed_ms, None));
        }
        for news in news {
            let milestone = news.milestone();
            // What waited for the network would come a second time after the announcer of another replica has told it.
            if milestone.is_some() && !self.world.net.is_up(self.process) {
                continue;
            }
            self.tell(&news.audience, news.event);
            if let Some(milestone) = milestone {
                self.told.push(milestone);
            }
        }
    }
}

impl Lane {
    async fn run(mut self) {
        let replica = Rc::clone(&self.replica);
        let (world, changed) = (&replica.world, &replica.changed[self.number]);
        loop {
            let next = replica.lanes.borrow_mut().next(world.sim.instant());
            match next {
                Next::Begin { part, deadline, more } => {
                    if more {
                        replica.wake_lanes();
                    }
                    self.commit(part, deadline).await;
                }
                // Planted: what comes within the interval is left.
                Next::Wait(Some(_)) if world.mistake == Some(Mistake::ForgetWaiting) => changed.pop().await,
                Next::Wait(Some(at)) => {
                    let wait = at.saturating_duration_since(world.sim.instant());
                    world.sim.timeout(wait, changed.pop()).await;
                }
                Next::Wait(None) => changed.pop().await,
                Next::End => return,
            }
        }
    }

    async fn commit(&mut self, part: Part<Ticket>, deadline: Instant) {
        let outcome = self.try_commit(&part, deadline).await;
        let Conclusion { answered, progress, news, changed, is_unknown, rest } = part.conclude(outcome);
        let replica = &self.replica;
        for answered in answered {
            answered.ticket.answer.give(answered.outcome);
        }
        for (id, audience) in &changed {
            replica.known.note(id, audience);
        }
        if is_unknown {
            replica.posted.owe(Backlog::owe_own);
        }
        replica.tell_committed(progress, news);
        replica.lanes.borrow_mut().done(rest, replica.world.sim.instant());
    }

    async fn try_commit(&mut self, part: &Part<Ticket>, deadline: Instant) -> Result<Decision, TripError> {
        if self.connection.is_none() {
            self.connect(deadline).await;
        }
        let connection = self.connection.as_mut().ok_or(TripError::Away)?;
        let (commands, audiences) = (part.commands(), part.audiences());
        let outcome = transaction::commit(connection, (&commands, &audiences), part.is_locked(), deadline).await;
        if outcome == Err(TripError::Lost) {
            self.connection = None;
        }
        outcome
    }

    async fn connect(&mut self, deadline: Instant) {
        let world = &self.replica.world;
        let Some(try_until) = self.reach.try_until(deadline, world.sim.instant()) else { return };
        loop {
            self.connection = Connection::open(&world.store).await;
            if self.connection.is_some() {
                self.reach.reached();
                return;
            }
            let Some(pause) = self.reach.failed(try_until, world.sim.instant()) else { return };
            world.sim.sleep(pause).await;
        }
    }
}
