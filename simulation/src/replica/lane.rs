//! Runs what chat-service's `Lanes` decides, on connections to the simulated database.

use std::{cell::RefCell, rc::Rc, time::Instant};

use chat_service::{
    batch::{Decision, Request},
    lanes::{Conclusion, Lanes, Next, Part, Reach, Refused, TripError, transaction},
};
use proto::chat::{Message, SendResult};

use super::{posted::Posted, tell_members};
use crate::{
    channel::{Answer, Queue},
    executor::ProcessId,
    mistake::Mistake,
    network::Inbox,
    store::Connection,
    world::World,
};

const LANES: usize = 2;
/// As chat-service has it unless it is configured otherwise.
const COMMIT_INTERVAL: std::time::Duration = std::time::Duration::from_millis(5);

/// Who waits for a request.
struct Ticket {
    answer: Answer<Vec<SendResult>>,
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
    lanes: Rc<RefCell<Lanes<Ticket>>>,
    changed: Vec<Queue<()>>,
    number: usize,
    connection: Option<Connection>,
    reach: Reach,
}

impl Entrance {
    /// Starts the lanes of a process.
    pub(super) fn start(world: &Rc<World>, process: ProcessId, posted: &Posted) -> Self {
        let seed = world.sim.chance(|rng| rng.u64(..));
        let lanes = Rc::new(RefCell::new(Lanes::new(COMMIT_INTERVAL, seed)));
        let changed = vec![Queue::default(); LANES];
        for number in 0..LANES {
            let lane = Lane {
                world: Rc::clone(world),
                process,
                posted: posted.clone(),
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

    /// Commits the drafts of a request before its deadline.
    pub(super) async fn commit(
        &self,
        request: Request,
        (deadline, now): (Instant, Instant),
        unfinished: &Rc<()>,
    ) -> Result<Vec<SendResult>, Refused> {
        let (answer, results) = Answer::expected();
        let ticket = Ticket { answer, _unfinished: Rc::clone(unfinished) };
        if self.lanes.borrow_mut().push(request, ticket, deadline, now)? {
            self.changed.iter().for_each(|changed| changed.push(()));
        }
        results.await.ok_or(Refused::Away)
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
        let Conclusion { answered, runs, repeated, is_unknown, rest } = part.conclude(outcome);
        for answered in answered {
            answered.ticket.answer.give(answered.results);
        }
        if is_unknown {
            self.posted.missed();
        }
        self.tell(runs, &repeated);
        self.lanes.borrow_mut().done(rest, self.world.sim.instant());
    }

    async fn try_commit(&mut self, part: &Part<Ticket>, deadline: Instant) -> Result<Decision, TripError> {
        if self.connection.is_none() {
            self.connect(deadline).await;
        }
        let connection = self.connection.as_mut().ok_or(TripError::Away)?;
        let outcome = transaction::commit(connection, &part.requests(), part.is_locked(), deadline).await;
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

    fn tell(&self, runs: Vec<Vec<Message>>, repeated: &[Message]) {
        let world = &self.world;
        for message in repeated {
            if let Some(chat) = world.cast.chat(&message.match_id) {
                self.posted.moved(&world.cast.chats[chat].id, message.seq, None);
            }
        }
        for messages in runs {
            let Some(last) = messages.last() else { continue };
            let Some(chat) = world.cast.chat(&last.match_id) else { continue };
            let of = &world.cast.chats[chat];
            self.posted.moved(&of.id, last.seq, Some(last.created_at_ms));
            tell_members(world, self.process, of.members, &Rc::new(Inbox::Posted(messages)));
        }
    }
}
