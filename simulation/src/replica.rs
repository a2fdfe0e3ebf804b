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
    command::{CloseMatch, Command, RecordMilestone, SendMessages},
    outcome::{Changed, Outcome, Refusal},
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
        let lanes = Entrance::start(world, process, (&posted, &told));
        let (unfinished, is_stopping, has_left) = (Rc::new(()), Cell::new(false), Cell::new(false));
        let replica = Rc::new(Self { process, lanes, told, posted, unfinished, is_stopping, has_left });
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
        let (Some(chat), Some(parsed)) = (world.cast.chat(&send.match_id), parse(send)) else {
            return vec![failure(Code::MatchNotFound); count];
        };
        let audience = world.cast.audience(&world.cast.chats[chat]);
        if !audience.has(&parsed.author.id) {
            return vec![failure(Code::MatchNotFound); count];
        }
        let times = (deadline, world.sim.instant());
        match self.lanes.commit((parsed, audience), times, &self.unfinished).await.map(Outcome::into_results) {
            Ok(results) => results,
            Err(_) => vec![unavailable(); count],
        }
    }

    /// Closes a match.
    pub(crate) async fn close_match(self: Rc<Self>, world: Rc<World>, match_id: MatchId) -> Result<(), Away> {
        self.change(&world, CloseMatch { match_id }).await.map(|_| ()).map_err(|_| Away)
    }

    /// Records a milestone. False when the match has fewer messages.
    pub(crate) async fn record_milestone(
        self: Rc<Self>,
        world: Rc<World>,
        milestone: RecordMilestone,
    ) -> Result<bool, Away> {
        match self.change(&world, milestone).await {
            Ok(_) => Ok(true),
            Err(Refusal::NotReached) => Ok(false),
            Err(_) => Err(Away),
        }
    }

    async fn change(&self, world: &World, command: impl Command + 'static) -> Result<Changed, Refusal> {
        let (now, chat) = (world.sim.instant(), world.cast.chat(command.match_id().as_str()));
        let audience = world.cast.audience(&world.cast.chats[chat.ok_or(Refusal::NoMatch)?]);
        let outcome = self.lanes.commit((command, audience), (now + CALLER_PATIENCE, now), &self.unfinished).await;
        outcome.map_err(|_| Refusal::Unavailable)?.into_change()
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

fn tell_members(world: &World, process: ProcessId, id: &MatchId, event: chat_event::Event) {
    let Some(chat) = world.cast.chat(id.as_str()) else { return };
    let event = Rc::new(Event::from(event));
    for user in world.cast.chats[chat].members {
        world.net.publish(process, Subject::User(user), Packet::Inbox(Rc::clone(&event)));
    }
}
