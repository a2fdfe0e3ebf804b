//! The simulated world: processes that come and go, what connects them, and what stays.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use chat_service::command::{ChangeMembers, CloseMatch, Command};
use promises::{Event, Violation};

use crate::{
    calls::{self, Calls},
    cast::Cast,
    client::Client,
    counter::{Counter, Registers},
    executor::{ProcessId, Sim},
    gateway::Gateway,
    mistake::Mistake,
    network::Network,
    promises::Promises,
    replica::Replica,
    schedule::{Action, CLIENTS, Fault, RESTART_MS, SERVERS, Schedule, Server},
    store::Store,
    stream::Stream,
};

/// Within these times after the last fault everything mostly has come right, after the last of them it must have: a
/// heartbeat that runs out, a comparison of heads, redeliveries of the stream, and retries after each.
const CONVERGENCE: [Duration; 3] = [Duration::from_secs(45), Duration::from_secs(70), Duration::from_secs(100)];
/// A crashed host is noticed by NATS at the latest after this.
const NOTICED_WITHIN_MS: u64 = 3_000;

/// Everything.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) cast: Cast,
    pub(crate) net: Rc<Network>,
    pub(crate) store: Rc<Store>,
    pub(crate) stream: Rc<Stream>,
    pub(crate) registers: Registers,
    pub(crate) calls: Calls,
    pub(crate) promises: Rc<Promises>,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) gateways: RefCell<Vec<Option<Rc<Gateway>>>>,
    pub(crate) replicas: RefCell<Vec<Option<Rc<Replica>>>>,
    pub(crate) counters: RefCell<Vec<Option<Rc<Counter>>>>,
    pub(crate) clients: RefCell<Vec<Rc<Client>>>,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// Messages that were acked.
    pub acked: usize,
    /// Messages that were delivered and checked.
    pub delivered: usize,
    /// What happened, if that was asked for.
    pub trace: Vec<String>,
}

/// Runs a schedule with a mistake planted, or none.
pub fn run(schedule: &Schedule, mistake: Option<Mistake>, traced: bool) -> Outcome {
    gateway_core::mistake::plant(mistake.and_then(Mistake::in_the_core));
    let world = World::new(schedule, mistake, traced);
    for step in schedule.steps.clone() {
        let of = Rc::clone(&world);
        world.sim.after(step.at, move || of.act(step.action));
    }
    let of = Rc::clone(&world);
    world.sim.after(schedule.calm_at(), move || of.net.calm());
    for wait in CONVERGENCE {
        world.sim.run_until(schedule.calm_at() + wait);
        if world.promises.violation().is_some() || world.first_unmet().is_none() {
            return world.dissolve();
        }
    }
    let unmet = world.first_unmet();
    world.promises.check_unmet(unmet);
    world.dissolve()
}

impl World {
    fn new(schedule: &Schedule, mistake: Option<Mistake>, traced: bool) -> Rc<Self> {
        let sim = Sim::new(schedule.seed, traced);
        let cast = Cast::new();
        let net = Rc::new(Network::new(&sim, schedule.noise));
        let promises = Rc::new(Promises::new(&sim));
        let store = Rc::new(Store::new(&cast, &net, &promises, mistake));
        let world = Rc::new(Self {
            stream: Rc::new(Stream::new(&net)),
            registers: Registers::new(&net),
            calls: Calls::default(),
            gateways: RefCell::new(vec![None; SERVERS]),
            replicas: RefCell::new(vec![None; SERVERS]),
            counters: RefCell::new(vec![None; SERVERS]),
            clients: RefCell::default(),
            sim,
            cast,
            net,
            store,
            promises,
            mistake,
        });
        for server in [Server::Replica, Server::Gateway, Server::Counter] {
            (0..SERVERS).for_each(|index| world.start(server, index));
        }
        *world.clients.borrow_mut() = (0..CLIENTS).map(|index| Client::start(&world, index)).collect();
        world
    }

    fn act(self: &Rc<Self>, action: Action) {
        self.sim.trace(|| format!("{action:?}"));
        let millis = Duration::from_millis;
        match action {
            Action::Break { server, index, fault, for_ms } => {
                self.break_process((server, index), fault, millis(for_ms));
            }
            Action::NatsDown { for_ms, is_wiped } => {
                if is_wiped {
                    self.stream.wipe();
                }
                self.stream.away_for(millis(for_ms));
                self.net.cut_all(millis(for_ms));
            }
            Action::StreamDown { for_ms } => self.stream.away_for(millis(for_ms)),
            Action::StopReplica { index, within_ms } => {
                self.replicas.borrow()[index].iter().for_each(|replica| replica.stop());
                let (world, end) = (Rc::clone(self), Fault::Kill);
                let restart = move || world.break_process((Server::Replica, index), end, millis(RESTART_MS));
                self.sim.after(millis(within_ms), restart);
            }
            Action::FlushRedis => self.registers.flush(),
            Action::RedisDown { for_ms } => self.registers.away_for(millis(for_ms)),
            Action::RestartPostgres { for_ms } => self.store.restart(millis(for_ms)),
            Action::CloseMatch { chat } => self.close_match(chat),
            Action::ChangeGuest { chat, is_member } => self.change_guest(chat, is_member),
            Action::Call { chat } => calls::ring(self, chat),
            Action::Drain { gateway, restart_ms } => self.drain(gateway, millis(restart_ms)),
            Action::Act { client, deed } => self.clients.borrow()[client].act(deed),
        }
    }

    /// What does not hold yet, and must when everything has come right.
    fn first_unmet(&self) -> Option<Violation> {
        let unmet = self.clients.borrow().iter().find_map(|client| client.first_unmet());
        unmet.or_else(|| self.promises.first_unmet(self))
    }

    fn dissolve(&self) -> Outcome {
        let trace = self.sim.dissolve();
        self.gateways.take().into_iter().flatten().for_each(|gateway| gateway.dissolve());
        self.clients.take();
        self.replicas.take();
        self.counters.take();
        self.sim.dissolve();
        let (acked, delivered) = self.promises.counts();
        Outcome { violation: self.promises.violation(), acked, delivered, trace }
    }

    /// A replica of chat-service that is up, for a gRPC call.
    pub(crate) fn any_replica(&self) -> Option<Rc<Replica>> {
        let up: Vec<_> = self.replicas.borrow().iter().flatten().cloned().collect();
        self.sim.chance(|rng| rng.choice(up))
    }

    fn break_process(self: &Rc<Self>, (server, index): (Server, usize), fault: Fault, lasts: Duration) {
        let Some(process) = self.process(server, index) else { return };
        let world = Rc::clone(self);
        match fault {
            Fault::Kill => {
                self.kill((server, index), process);
                self.sim.after(lasts, move || world.start(server, index));
            }
            Fault::Freeze => {
                self.sim.freeze(process);
                self.sim.after(lasts, move || world.sim.thaw(process));
            }
            Fault::CutFromNats => self.net.cut(process, lasts),
        }
    }

    /// Drains a gateway, and starts another one in its place.
    fn drain(self: &Rc<Self>, index: usize, restarted_after: Duration) {
        let gateway = self.gateways.borrow()[index].clone();
        let Some(gateway) = gateway else { return };
        gateway.drain();
        let (world, end) = (Rc::clone(self), Fault::Kill);
        self.sim.after(restarted_after, move || world.break_process((Server::Gateway, index), end, Duration::ZERO));
    }

    fn process(&self, server: Server, index: usize) -> Option<ProcessId> {
        match server {
            Server::Gateway => self.gateways.borrow()[index].as_ref().map(|gateway| gateway.process),
            Server::Replica => self.replicas.borrow()[index].as_ref().map(|replica| replica.process),
            Server::Counter => self.counters.borrow()[index].as_ref().map(|counter| counter.process),
        }
    }

    fn start(self: &Rc<Self>, server: Server, index: usize) {
        match server {
            Server::Gateway => {
                let gateway = Gateway::start(self);
                self.gateways.borrow_mut()[index] = Some(gateway);
            }
            Server::Replica => {
                let replica = Replica::start(self);
                self.replicas.borrow_mut()[index] = Some(replica);
            }
            Server::Counter => {
                let counter = Counter::start(self);
                self.counters.borrow_mut()[index] = Some(counter);
            }
        }
    }

    fn kill(&self, (server, index): (Server, usize), process: ProcessId) {
        self.sim.kill(process);
        match server {
            Server::Gateway => {
                let gateway = self.gateways.borrow_mut()[index].take();
                if let Some(gateway) = gateway {
                    gateway.dissolve();
                }
                self.clients.borrow().iter().for_each(|client| client.gateway_died(process));
            }
            Server::Replica => drop(self.replicas.borrow_mut()[index].take()),
            Server::Counter => drop(self.counters.borrow_mut()[index].take()),
        }
        let (net, noticed) = (Rc::clone(&self.net), self.sim.chance(|rng| rng.u64(0..NOTICED_WITHIN_MS)));
        self.sim.after(Duration::from_millis(noticed), move || net.forget(process));
    }

    /// The app server closes a match, until chat-service has done so.
    fn close_match(self: &Rc<Self>, chat: usize) {
        let (world, app) = (Rc::clone(self), self.sim.start());
        self.promises.note_app(chat, Event::CloseAsked);
        self.sim.spawn(app, async move {
            let command = || CloseMatch { match_id: world.cast.chats[chat].id.clone() };
            world.insist(command).await;
            world.promises.note_app(chat, Event::Closed);
        });
    }

    /// The app server makes a match's guest a member or removes it, until chat-service has done so or refuses.
    fn change_guest(self: &Rc<Self>, chat: usize, is_member: bool) {
        let Some(guest) = self.cast.chats[chat].guest else { return };
        let (world, app) = (Rc::clone(self), self.sim.start());
        self.sim.spawn(app, async move {
            let guest = [world.cast.users[guest].clone()].into();
            let (add, remove) = if is_member { (guest, BTreeSet::new()) } else { (BTreeSet::new(), guest) };
            let match_id = world.cast.chats[chat].id.clone();
            let command = ChangeMembers { match_id, add, remove, actor: None, expected_rev: None };
            world.insist(|| command.clone()).await;
        });
    }

    /// Has chat-service carry out a command, whichever replica can, unless it refuses for good.
    async fn insist<C: Command + 'static>(self: &Rc<Self>, command: impl Fn() -> C) {
        loop {
            if let Some(replica) = self.any_replica() {
                let change = Rc::clone(&replica).change(Rc::clone(self), command());
                if self.net.call(replica.process, change).await.is_ok() {
                    return;
                }
            }
            self.sim.sleep(Duration::from_millis(500)).await;
        }
    }
}
