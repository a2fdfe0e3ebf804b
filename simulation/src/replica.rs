//! A replica of chat-service: its commands and its pure cores `lanes`, `ownership`, `peers`, `posted::Backlog` and
//! `leftovers`, run on the simulated world.

mod announcer;
mod lane;
mod partitions;
mod posted;
mod publisher;
mod sends;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use chat_service::{
    audience::{Audience, Remembered},
    command::Command,
    lanes::{Lanes, Refused},
    leftovers::MilestoneName,
    outcome::{Changed, Outcome, Refusal},
};
use proto::{
    MatchId, UserId,
    inbox::{chat_event, inbox_event::Event},
};

use crate::{
    channel::{Answer, Queue},
    executor::ProcessId,
    network::{Away, Packet, Subject},
    world::World,
};
use posted::Posted;

/// As `chat-service/src/rpc.rs`.
const CALLER_PATIENCE: Duration = Duration::from_secs(2);
/// As `chat-service/src/app.rs`.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const LANES: usize = 2;
/// As chat-service has it unless it is configured otherwise.
const COMMIT_INTERVAL: Duration = Duration::from_millis(5);

/// A replica of chat-service. Its memory dies with it.
pub(crate) struct Replica {
    world: Rc<World>,
    process: ProcessId,
    lanes: RefCell<Lanes<Ticket>>,
    /// Wakes each of them.
    changed: Vec<Queue<()>>,
    known: Remembered,
    /// The milestones that the lanes have told the members of.
    told: Queue<MilestoneName>,
    posted: Posted,
    /// Shared by all jobs that are not finished.
    unfinished: Rc<()>,
    is_stopping: Cell<bool>,
    /// Requests that arrive now come too late.
    has_left: Cell<bool>,
}

/// Who waits for a command.
struct Ticket {
    answer: Answer<Outcome>,
    _unfinished: Rc<()>,
}

impl Replica {
    /// Starts a replica.
    pub(crate) fn start(world: &Rc<World>, process: ProcessId) -> Rc<Self> {
        let replica = Rc::new(Self {
            world: Rc::clone(world),
            process,
            lanes: RefCell::new(Lanes::new(COMMIT_INTERVAL, world.sim.chance(|rng| rng.u64(..)))),
            changed: (0..LANES).map(|_| Queue::default()).collect(),
            known: Remembered::default(),
            told: Queue::default(),
            posted: Posted::default(),
            unfinished: Rc::default(),
            is_stopping: Cell::new(false),
            has_left: Cell::new(false),
        });
        for number in 0..LANES {
            world.sim.spawn(process, Rc::clone(&replica).run_lane(number));
        }
        world.sim.spawn(process, Rc::clone(&replica).run());
        replica
    }

    /// Leaves its partitions to the others, finishes what it has, and says so.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
    }

    /// Carries out a command that gRPC asks for, or refuses it for good.
    pub(crate) async fn change(
        self: Rc<Self>,
        command: impl Command + 'static,
    ) -> Result<Result<Changed, Refusal>, Away> {
        let Some(audience) = self.audience(command.match_id(), None).await? else { return Ok(Err(Refusal::NoMatch)) };
        let outcome = self.commit(command, audience, self.world.sim.instant() + CALLER_PATIENCE).await;
        match outcome.map_err(|_| Away)?.into_change() {
            Err(Refusal::Unavailable | Refusal::Broken) => Err(Away),
            changed => Ok(changed),
        }
    }

    /// Works once it has reached PostgreSQL, whose clock it looks at from then on.
    async fn run(self: Rc<Self>) {
        while !self.look_at_clock().await {
            self.world.sim.sleep(PING_INTERVAL).await;
        }
        let (sim, process) = (&self.world.sim, self.process);
        sim.spawn(process, Rc::clone(&self).watch_stream());
        sim.spawn(process, Rc::clone(&self).publish_for_ever());
        sim.spawn(process, Rc::clone(&self).announce());
        sim.spawn(process, Rc::clone(&self).serve_partitions());
        loop {
            sim.sleep(PING_INTERVAL).await;
            self.look_at_clock().await;
        }
    }

    async fn look_at_clock(&self) -> bool {
        let Ok(now_ms) = self.world.store.now_ms().await else { return false };
        self.posted.backlog().note_time(now_ms);
        true
    }

    /// Has a command committed before its deadline.
    async fn commit(
        &self,
        command: impl Command + 'static,
        audience: Audience,
        deadline: Instant,
    ) -> Result<Outcome, Refused> {
        let (answer, outcome) = Answer::expected();
        let ticket = Ticket { answer, _unfinished: Rc::clone(&self.unfinished) };
        let (command, now) = (Box::new(command), self.world.sim.instant());
        let wakes = self.lanes.borrow_mut().push((command, audience), ticket, deadline, now)?;
        if wakes {
            self.wake_lanes();
        }
        outcome.pop().await.ok_or(Refused::Away)
    }

    fn wake_lanes(&self) {
        self.changed.iter().for_each(|changed| changed.push(()));
    }

    /// The members of a match, of which the user is to be one, as far as they are known, or as they are.
    async fn audience(&self, id: &MatchId, user: Option<&UserId>) -> Result<Option<Audience>, Away> {
        let known = user.map_or_else(|| self.known.of(id), |user| self.known.with(id, user));
        if known.is_some() {
            return Ok(known);
        }
        let found = self.world.store.audience(id).await?;
        if let Some(audience) = &found {
            self.known.note(id, audience);
        }
        Ok(found.filter(|audience| user.is_none_or(|user| audience.has(user))))
    }

    fn tell(&self, audience: &Audience, event: chat_event::Event) {
        let event = Rc::new(Event::from(event));
        for user in audience.members().iter().filter_map(|user| self.world.cast.user(user.as_str())) {
            self.world.net.publish(self.process, Subject::User(user), Packet::Inbox(Rc::clone(&event)));
        }
    }
}
