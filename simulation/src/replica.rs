//! A replica of chat-service: its commands and its pure cores `lanes`, `ownership`, `peers`, `posted::Backlog` and
//! `leftovers`, run on the simulated world.

mod announcer;
mod lane;
mod partitions;
mod posted;

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use chat_service::{
    audience::{Audience, Remembered},
    command::{Command, SendMessages},
    outcome::{Outcome, Refusal},
    room::{Author, Draft},
    send_result::{failure, unavailable},
};
use proto::{
    ClientId, MatchId, UserId,
    chat::{Code, SendReply, SendRequest, SendResult},
    inbox::{chat_event, inbox_event::Event},
};

use crate::{
    channel::Queue,
    executor::ProcessId,
    network::{Away, Packet, Request, Subject},
    world::World,
};
use announcer::Told;
use lane::Entrance;
use posted::Posted;

/// As `chat-service/src/sends.rs`.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
/// As `chat-service/src/rpc.rs`.
const CALLER_PATIENCE: Duration = Duration::from_secs(2);
/// As `chat-service/src/app.rs`.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A replica of chat-service. Its memory dies with it.
pub(crate) struct Replica {
    pub(crate) process: ProcessId,
    lanes: Entrance,
    known: Remembered,
    told: Told,
    posted: Posted,
    /// Shared by all jobs that are not finished.
    unfinished: Rc<()>,
    is_stopping: Cell<bool>,
    /// Requests that arrive now come too late.
    has_left: Cell<bool>,
}

impl Replica {
    /// Starts a replica.
    pub(crate) fn start(world: &Rc<World>) -> Rc<Self> {
        let process = world.sim.start();
        let posted = Posted::default();
        let told = Told::default();
        let known = Remembered::default();
        let lanes = Entrance::start(world, process, (&posted, &told, &known));
        let (unfinished, is_stopping, has_left) = (Rc::new(()), Cell::new(false), Cell::new(false));
        let replica = Rc::new(Self { process, lanes, known, told, posted, unfinished, is_stopping, has_left });
        world.sim.spawn(process, Rc::clone(&replica).run(Rc::clone(world)));
        replica
    }

    /// Leaves its partitions to the others, finishes what it has, and says so.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
    }

    /// Works once it has reached PostgreSQL, whose clock it looks at from then on.
    async fn run(self: Rc<Self>, world: Rc<World>) {
        while !self.look_at_clock(&world).await {
            world.sim.sleep(PING_INTERVAL).await;
        }
        let (process, posted) = (self.process, &self.posted);
        world.sim.spawn(process, posted::watch(Rc::clone(&world), process, posted.clone()));
        world.sim.spawn(process, posted::run(Rc::clone(&world), process, posted.clone()));
        world.sim.spawn(process, announcer::run(Rc::clone(&world), process, (posted.clone(), self.told.clone())));
        world.sim.spawn(process, partitions::run(Rc::clone(&world), Rc::clone(&self)));
        loop {
            world.sim.sleep(PING_INTERVAL).await;
            self.look_at_clock(&world).await;
        }
    }

    async fn look_at_clock(&self, world: &World) -> bool {
        let Ok(now_ms) = world.store.now_ms().await else { return false };
        self.posted.backlog().note_time(now_ms);
        true
    }

    /// Serves requests that arrive in a mailbox.
    async fn serve(self: Rc<Self>, world: Rc<World>, mailbox: Queue<Packet>) {
        loop {
            let Packet::Request(request) = mailbox.pop().await else { continue };
            if self.has_left.get() {
                continue;
            }
            let (replica, of) = (Rc::clone(&self), Rc::clone(&world));
            world.sim.spawn(self.process, async move { replica.handle(&of, &request).await });
        }
    }

    async fn handle(&self, world: &Rc<World>, request: &Request) {
        let patience = world.sim.until(request.send.deadline_ms);
        if patience <= ANSWER_MARGIN {
            return;
        }
        let (count, deadline) = (request.send.drafts.len(), world.sim.instant() + patience);
        let results = self.results(world, &request.send, deadline);
        let results = world.sim.timeout(patience.saturating_sub(ANSWER_MARGIN), results).await;
        let results = results.unwrap_or_else(|| vec![unavailable(); count]);
        world.net.reply(self.process, request, SendReply { results });
    }

    async fn results(&self, world: &World, send: &SendRequest, deadline: Instant) -> Vec<SendResult> {
        let count = send.drafts.len();
        let Some(parsed) = parse(send) else { return vec![failure(Code::MatchNotFound); count] };
        let audience = match self.audience(world, &parsed.match_id, Some(&parsed.author.id)).await {
            Ok(Some(audience)) => audience,
            Ok(None) => return vec![failure(Code::MatchNotFound); count],
            Err(Away) => return vec![unavailable(); count],
        };
        let times = (deadline, world.sim.instant());
        match self.lanes.commit((parsed, audience), times, &self.unfinished).await.map(Outcome::into_results) {
            Ok(results) => results,
            Err(_) => vec![unavailable(); count],
        }
    }

    /// Carries out a command that gRPC asks for. False when it is refused for good.
    pub(crate) async fn change(
        self: Rc<Self>,
        world: Rc<World>,
        command: impl Command + 'static,
    ) -> Result<bool, Away> {
        let Some(audience) = self.audience(&world, command.match_id(), None).await? else { return Ok(false) };
        let now = world.sim.instant();
        let outcome = self.lanes.commit((command, audience), (now + CALLER_PATIENCE, now), &self.unfinished).await;
        match outcome.map_err(|_| Away)?.into_change() {
            Ok(_) => Ok(true),
            Err(Refusal::Unavailable | Refusal::Broken) => Err(Away),
            Err(_) => Ok(false),
        }
    }

    /// The members of a match, of which the user is to be one, as far as they are known, or as they are.
    async fn audience(&self, world: &World, id: &MatchId, user: Option<&UserId>) -> Result<Option<Audience>, Away> {
        let known = user.map_or_else(|| self.known.of(id), |user| self.known.with(id, user));
        if known.is_some() {
            return Ok(known);
        }
        let found = world.store.audience(id).await?;
        if let Some(audience) = &found {
            self.known.note(id, audience);
        }
        Ok(found.filter(|audience| user.is_none_or(|user| audience.has(user))))
    }
}

fn parse(send: &SendRequest) -> Option<SendMessages> {
    let drafts = send.drafts.iter().map(|draft| {
        let client_id = ClientId::new(draft.client_id.as_str()).ok()?;
        Some(Draft { client_id, body: draft.body.clone(), names: Vec::new() })
    });
    let author = Author { id: UserId::new(send.sender_id.as_str()).ok()?, origin: send.origin, by_rest: false };
    Some(SendMessages {
        match_id: MatchId::new(send.match_id.as_str()).ok()?,
        author,
        drafts: drafts.collect::<Option<_>>()?,
    })
}

fn tell(world: &World, process: ProcessId, audience: &Audience, event: chat_event::Event) {
    let event = Rc::new(Event::from(event));
    for user in audience.members().iter().filter_map(|user| world.cast.user(user.as_str())) {
        world.net.publish(process, Subject::User(user), Packet::Inbox(Rc::clone(&event)));
    }
}
