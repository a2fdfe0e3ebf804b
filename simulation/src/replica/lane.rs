//! Runs what chat-service's `Lanes` decides, on connections to the simulated database.

use std::{cell::RefCell, rc::Rc, time::Instant};

use chat_service::{
    audience::{Audience, Remembered},
    batch::Decision,
    command::Command,
    lanes::{Conclusion, Lanes, Next, Part, Progress, Reach, Refused, TripError, transaction},
    news::News,
    outcome::Outcome,
};

use super::{announcer::Told, posted::Posted};
use crate::{
    channel::{Answer, Queue},
    executor::ProcessId,
    mistake::Mistake,
    store::Connection,
    world::World,
};

const LANES: usize = 2;
/// As chat-service has it unless it is configured otherwise.
const COMMIT_INTERVAL: std::time::Duration = std::time::Duration::from_millis(5);

/// Who waits for a command.
struct Ticket {
    answer: Answer<Outcome>,
    _unfinished: Rc<()>,
}

/// The way into the lanes of a replica.
pub(super) struct Entrance {
    lanes: Rc<RefCell<Lanes<Ticket>>>,
    /// Wakes each of them.
    changed: Vec<Queue<()>>,
}

struct Lane {
    world: Rc<World>,
    process: ProcessId,
    posted: Posted,
    told: Told,
    known: Remembered,
    lanes: Rc<RefCell<Lanes<Ticket>>>,
    changed: Vec<Queue<()>>,
    number: usize,
    connection: Option<Connection>,
    reach: Reach,
}

impl Entrance {
    /// Starts the lanes of a process.
    pub(super) fn start(
        world: &Rc<World>,
        process: ProcessId,
        (posted, told, known): (&Posted, &Told, &Remembered),
    ) -> Self {
        let seed = world.sim.chance(|rng| rng.u64(..));
        let lanes = Rc::new(RefCell::new(Lanes::new(COMMIT_INTERVAL, seed)));
        let changed = vec![Queue::default(); LANES];
        for number in 0..LANES {
            let lane = Lane {
                world: Rc::clone(world),
                process,
                posted: posted.clone(),
                told: told.clone(),
                known: known.clone(),
                lanes: Rc::clone(&lanes),
                changed: changed.clone(),
                number,
                connection: None,
                reach: Reach::default(),
            };
            world.sim.spawn(process, lane.run());
        }
        Self { lanes, changed }
    }

    /// Has a command committed before its deadline.
    pub(super) async fn commit(
        &self,
        (command, audience): (impl Command + 'static, Audience),
        (deadline, now): (Instant, Instant),
        unfinished: &Rc<()>,
    ) -> Result<Outcome, Refused> {
        let (answer, outcome) = Answer::expected();
        let ticket = Ticket { answer, _unfinished: Rc::clone(unfinished) };
        if self.lanes.borrow_mut().push((Box::new(command), audience), ticket, deadline, now)? {
            self.changed.iter().for_each(|changed| changed.push(()));
        }
        outcome.await.ok_or(Refused::Away)
    }
}

impl Lane {
    async fn run(mut self) {
        loop {
            let next = self.lanes.borrow_mut().next(self.world.sim.instant());
            let changed = self.changed[self.number].clone();
            match next {
                Next::Begin { part, deadline, more } => {
                    if more {
                        self.changed.iter().for_each(|changed| changed.push(()));
                    }
                    self.commit(part, deadline).await;
                }
                // Planted: what comes within the interval is left.
                Next::Wait(Some(_)) if self.world.mistake == Some(Mistake::ForgetWaiting) => changed.pop().await,
                Next::Wait(Some(at)) => {
                    let wait = at.saturating_duration_since(self.world.sim.instant());
                    self.world.sim.timeout(wait, changed.pop()).await;
                }
                Next::Wait(None) => changed.pop().await,
                Next::End => return,
            }
        }
    }

    async fn commit(&mut self, part: Part<Ticket>, deadline: Instant) {
        let outcome = self.try_commit(&part, deadline).await;
        let Conclusion { answered, progress, news, changed, is_unknown, rest } = part.conclude(outcome);
        for answered in answered {
            answered.ticket.answer.give(answered.outcome);
        }
        for (id, audience) in &changed {
            self.known.note(id, audience);
        }
        if is_unknown {
            self.posted.missed();
        }
        self.tell(progress, news);
        self.lanes.borrow_mut().done(rest, self.world.sim.instant());
    }

    async fn try_commit(&mut self, part: &Part<Ticket>, deadline: Instant) -> Result<Decision, TripError> {
        if self.connection.is_none() {
            self.connect(deadline).await;
        }
        let connection = self.connection.as_mut().ok_or(TripError::Away)?;
        let outcome =
            transaction::commit(connection, (&part.commands(), &part.audiences()), part.is_locked(), deadline).await;
        if outcome == Err(TripError::Lost) {
            self.connection = None;
        }
        outcome
    }

    async fn connect(&mut self, deadline: Instant) {
        let world = Rc::clone(&self.world);
        let Some(try_until) = self.reach.try_until(deadline, world.sim.instant()) else { return };
        while self.connection.is_none() {
            self.connection = Connection::open(&world.store).await;
            if self.connection.is_some() {
                self.reach.reached();
            } else {
                let Some(pause) = self.reach.failed(try_until, world.sim.instant()) else { return };
                world.sim.sleep(pause).await;
            }
        }
    }

    fn tell(&self, progress: Vec<Progress>, news: Vec<News>) {
        for Progress { match_id, last_seq, committed_ms } in progress {
            self.posted.moved(&match_id, last_seq, committed_ms);
        }
        for news in news {
            let milestone = news.milestone();
            // What waited for the network would come a second time after the announcer of another replica has told it.
            if milestone.is_some() && !self.world.net.is_up(self.process) {
                continue;
            }
            super::tell(&self.world, self.process, &news.audience, news.event);
            if let Some(milestone) = milestone {
                self.told.push(milestone);
            }
        }
    }
}
