//! The simulated world: processes that come and go, what connects them, and what stays.

use std::{cell::RefCell, rc::Rc, time::Duration};

use crate::{
    cast::Cast,
    client::Client,
    counter::{Counter, Registers},
    executor::{ProcessId, Sim},
    gateway::Gateway,
    mistake::Mistake,
    network::Network,
    promises::{Promises, Violation},
    replica::Replica,
    schedule::{Action, CLIENTS, COUNTERS, GATEWAYS, REPLICAS, Schedule},
    store::Store,
    stream::Stream,
};

/// Within these times after the last fault everything mostly has come right, after the last of them it must have: a heartbeat
/// that runs out, a comparison of heads, redeliveries of the stream, and retries after each.
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
            gateways: RefCell::new((0..GATEWAYS).map(|_| None).collect()),
            replicas: RefCell::new((0..REPLICAS).map(|_| None).collect()),
            counters: RefCell::new((0..COUNTERS).map(|_| None).collect()),
            clients: RefCell::default(),
            sim,
            cast,
            net,
            store,
            promises,
            mistake,
        });
        (0..REPLICAS).for_each(|index| world.start_replica(index));
        (0..GATEWAYS).for_each(|index| world.start_gateway(index));
        (0..COUNTERS).for_each(|index| world.start_counter(index));
        *world.clients.borrow_mut() = (0..CLIENTS).map(|index| Client::start(&world, index)).collect();
        world
    }

    fn act(self: &Rc<Self>, action: Action) {
        self.sim.trace(|| format!("{action:?}"));
        let millis = Duration::from_millis;
        match action {
            Action::KillGateway { index, for_ms } => self.kill_gateway(index, for_ms),
            Action::KillReplica { index, for_ms } => self.kill_replica(index, for_ms),
            Action::KillCounter { index, for_ms } => self.kill_counter(index, for_ms),
            Action::FreezeGateway { index, for_ms } => {
                self.freeze(self.gateways.borrow()[index].as_ref().map(|of| of.process), for_ms);
            }
            Action::FreezeReplica { index, for_ms } => {
                self.freeze(self.replicas.borrow()[index].as_ref().map(|of| of.process), for_ms);
            }
            Action::CutGatewayFromNats { index, for_ms } => {
                let process = self.gateways.borrow()[index].as_ref().map(|of| of.process);
                self.cut(process, millis(for_ms));
            }
            Action::CutReplicaFromNats { index, for_ms } => {
                let process = self.replicas.borrow()[index].as_ref().map(|of| of.process);
                self.cut(process, millis(for_ms));
            }
            Action::NatsDown { for_ms } => {
                self.stream.away_for(millis(for_ms));
                self.net.cut_all(millis(for_ms));
            }
            Action::WipeStream => self.stream.wipe(),
            Action::FlushRedis => self.registers.flush(),
            Action::RedisDown { for_ms } => self.registers.away_for(millis(for_ms)),
            Action::RestartPostgres { for_ms } => self.store.restart(millis(for_ms)),
            Action::CloseMatch { chat } => self.close_match(chat),
            deed => self.clients.borrow().iter().for_each(|client| client.act(deed)),
        }
    }

    /// What does not hold yet, and must when everything has come right.
    fn first_unmet(&self) -> Option<Violation> {
        let unmet = self.clients.borrow().iter().find_map(|client| client.first_unmet());
        unmet.or_else(|| Promises::first_missing_milestone(self))
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

    fn cut(&self, process: Option<ProcessId>, lasts: Duration) {
        if let Some(process) = process {
            self.net.cut(process, lasts);
        }
    }

    fn freeze(self: &Rc<Self>, process: Option<ProcessId>, for_ms: u64) {
        let Some(process) = process else { return };
        self.sim.freeze(process);
        let sim = self.sim.clone();
        self.sim.after(Duration::from_millis(for_ms), move || {
            if sim.is_alive(process) {
                sim.thaw(process);
            }
        });
    }

    fn kill(self: &Rc<Self>, process: ProcessId) {
        self.sim.kill(process);
        let (net, noticed) = (Rc::clone(&self.net), self.sim.chance(|rng| rng.u64(0..NOTICED_WITHIN_MS)));
        self.sim.after(Duration::from_millis(noticed), move || net.forget(process));
    }

    fn kill_gateway(self: &Rc<Self>, index: usize, for_ms: u64) {
        let Some(gateway) = self.gateways.borrow_mut()[index].take() else { return };
        self.kill(gateway.process);
        gateway.dissolve();
        for client in self.clients.borrow().iter() {
            client.gateway_died(gateway.process);
        }
        let world = Rc::clone(self);
        self.sim.after(Duration::from_millis(for_ms), move || world.start_gateway(index));
    }

    fn kill_replica(self: &Rc<Self>, index: usize, for_ms: u64) {
        let Some(replica) = self.replicas.borrow_mut()[index].take() else { return };
        self.kill(replica.process);
        let world = Rc::clone(self);
        self.sim.after(Duration::from_millis(for_ms), move || world.start_replica(index));
    }

    fn kill_counter(self: &Rc<Self>, index: usize, for_ms: u64) {
        let Some(counter) = self.counters.borrow_mut()[index].take() else { return };
        self.sim.kill(counter.process);
        let world = Rc::clone(self);
        self.sim.after(Duration::from_millis(for_ms), move || world.start_counter(index));
    }

    fn start_gateway(self: &Rc<Self>, index: usize) {
        let gateway = Gateway::start(self);
        self.gateways.borrow_mut()[index] = Some(gateway);
    }

    fn start_replica(self: &Rc<Self>, index: usize) {
        let replica = Replica::start(self);
        self.replicas.borrow_mut()[index] = Some(replica);
    }

    fn start_counter(self: &Rc<Self>, index: usize) {
        let counter = Counter::start(self);
        self.counters.borrow_mut()[index] = Some(counter);
    }

    /// The app server closes a match, until chat-service has done so.
    fn close_match(self: &Rc<Self>, chat: usize) {
        let (world, app) = (Rc::clone(self), self.sim.start());
        self.sim.spawn(app, async move {
            loop {
                if let Some(replica) = world.any_replica() {
                    let closing = Rc::clone(&replica).close_match(Rc::clone(&world), chat);
                    if world.net.call(replica.process, closing).await.is_ok() {
                        return;
                    }
                }
                world.sim.sleep(Duration::from_millis(500)).await;
            }
        });
    }
}
