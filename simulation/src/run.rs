//! A run of a schedule: who lives in the world, and what happens to them.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use chat_service::command::{ChangeMembers, CloseMatch, Command};
use promises::{APP_SERVER, Event, Violation};

use crate::{
    client::Client,
    counter,
    fleet::Fleet,
    gateway::{Gateway, Gateways},
    mistake::Mistake,
    replica::Replica,
    replicas::Replicas,
    schedule::{Action, CLIENTS, Fault, RESTART_MS, SERVERS, Schedule, Server},
    world::World,
};

/// Within these times after the last fault everything mostly has come right, after the last of them it must have: a
/// heartbeat that runs out, a comparison of heads, redeliveries of the stream, and retries after each.
const CONVERGENCE: [Duration; 3] = [Duration::from_secs(45), Duration::from_secs(70), Duration::from_secs(100)];
/// A crashed host is noticed by NATS at the latest after this.
const NOTICED_WITHIN_MS: u64 = 3_000;

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

/// Everybody in the world.
struct Run {
    world: Rc<World>,
    gateways: Rc<Gateways>,
    replicas: Rc<Replicas>,
    counters: Fleet<()>,
    clients: Vec<Rc<Client>>,
}

/// Runs a schedule with a mistake planted, or none.
pub fn run(schedule: &Schedule, mistake: Option<Mistake>, traced: bool) -> Outcome {
    gateway_core::mistake::plant(mistake.and_then(Mistake::in_the_core));
    let world = World::new(schedule, mistake, traced);
    let run = Run::begin(&world);
    for step in schedule.steps.clone() {
        let of = Rc::clone(&run);
        world.sim.after(step.at, move || of.act(step.action));
    }
    let net = Rc::clone(&world.net);
    world.sim.after(schedule.calm_at(), move || net.calm());
    for wait in CONVERGENCE {
        world.sim.run_until(schedule.calm_at() + wait);
        if world.promises.violation().is_some() || run.first_unmet().is_none() {
            return run.end();
        }
    }
    if let Some(unmet) = run.first_unmet() {
        world.promises.broken(unmet);
    }
    run.end()
}

impl Run {
    fn begin(world: &Rc<World>) -> Rc<Self> {
        let (gateways, replicas) = (Rc::new(Gateways::new(&world.sim)), Rc::new(Replicas::new(world)));
        let client = |index| Client::start(world, (&gateways, &replicas), index);
        let mut run = Self {
            world: Rc::clone(world),
            gateways: Rc::clone(&gateways),
            replicas: Rc::clone(&replicas),
            counters: Fleet::new(&world.sim),
            clients: Vec::new(),
        };
        for server in [Server::Replica, Server::Gateway, Server::Counter] {
            (0..SERVERS).for_each(|index| run.start(server, index));
        }
        run.clients = (0..CLIENTS).map(client).collect();
        Rc::new(run)
    }

    fn act(self: &Rc<Self>, action: Action) {
        let world = &self.world;
        world.sim.trace(|| format!("{action:?}"));
        let millis = Duration::from_millis;
        match action {
            Action::Break { server, index, fault, for_ms } => {
                self.break_process((server, index), fault, millis(for_ms));
            }
            Action::NatsDown { for_ms, is_wiped } => {
                if is_wiped {
                    world.stream.wipe();
                }
                world.stream.host.away_for(millis(for_ms));
                world.net.cut_all(millis(for_ms));
            }
            Action::StreamDown { for_ms } => world.stream.host.away_for(millis(for_ms)),
            Action::StopReplica { index, within_ms } => {
                self.replicas.fleet.get(index).inspect(|replica| replica.stop());
                self.kill_later((Server::Replica, index), millis(within_ms), millis(RESTART_MS));
            }
            Action::FlushRedis => world.registers.flush(),
            Action::RedisDown { for_ms } => world.registers.host.away_for(millis(for_ms)),
            Action::RestartPostgres { for_ms } => world.store.restart(millis(for_ms)),
            Action::CloseMatch { chat } => self.close_match(chat),
            Action::ChangeGuest { chat, is_member } => self.change_guest(chat, is_member),
            Action::Call { chat } => world.calls.ring(chat),
            Action::Drain { gateway, restart_ms } => {
                if let Some(draining) = self.gateways.get(gateway) {
                    draining.drain();
                    self.kill_later((Server::Gateway, gateway), millis(restart_ms), Duration::ZERO);
                }
            }
            Action::Act { client, deed } => self.clients[client].act(deed),
        }
    }

    /// What does not hold yet, and must when everything has come right.
    fn first_unmet(&self) -> Option<Violation> {
        let World { cast, store, promises, .. } = &*self.world;
        let unmet = self.clients.iter().find_map(|client| client.first_unmet());
        unmet.or_else(|| promises.first_unmet(|chat| store.facts(cast, chat)))
    }

    fn break_process(self: &Rc<Self>, (server, index): (Server, usize), fault: Fault, lasts: Duration) {
        let process = match server {
            Server::Gateway => self.gateways.process(index),
            Server::Replica => self.replicas.fleet.process(index),
            Server::Counter => self.counters.process(index),
        };
        let (Some(process), sim, run) = (process, self.world.sim.clone(), Rc::clone(self)) else { return };
        match fault {
            Fault::Kill => {
                self.kill(server, index);
                sim.after(lasts, move || run.start(server, index));
            }
            Fault::Freeze => {
                sim.freeze(process);
                sim.clone().after(lasts, move || sim.thaw(process));
            }
            Fault::CutFromNats => self.world.net.cut(process, lasts),
        }
    }

    /// Ends a process after a while, and starts another one in its place.
    fn kill_later(self: &Rc<Self>, of: (Server, usize), within: Duration, restarted_after: Duration) {
        let run = Rc::clone(self);
        self.world.sim.after(within, move || run.break_process(of, Fault::Kill, restarted_after));
    }

    fn start(&self, server: Server, index: usize) {
        let (world, replicas) = (&self.world, &self.replicas);
        match server {
            Server::Gateway => self.gateways.start(index, |process| Gateway::start(world, replicas, process)),
            Server::Replica => replicas.fleet.start(index, |process| Replica::start(world, process)),
            Server::Counter => self.counters.start(index, |process| counter::start(world, replicas, process)),
        }
    }

    fn kill(&self, server: Server, index: usize) {
        let process = match server {
            Server::Gateway => self.gateways.kill(index),
            Server::Replica => self.replicas.fleet.kill(index),
            Server::Counter => self.counters.kill(index),
        };
        let Some(process) = process else { return };
        self.clients.iter().for_each(|client| client.lose(process));
        let (net, noticed) = (Rc::clone(&self.world.net), self.world.sim.chance(|rng| rng.u64(0..NOTICED_WITHIN_MS)));
        self.world.sim.after(Duration::from_millis(noticed), move || net.forget(process));
    }

    /// The app server closes a match, until chat-service has done so.
    fn close_match(self: &Rc<Self>, chat: usize) {
        self.world.promises.note(chat, APP_SERVER, Event::CloseAsked);
        let (run, match_id) = (Rc::clone(self), self.world.cast.chats[chat].id.clone());
        self.world.sim.spawn(self.world.sim.start(), async move {
            run.insist(|| CloseMatch { match_id: match_id.clone() }).await;
            run.world.promises.note(chat, APP_SERVER, Event::Closed);
        });
    }

    /// The app server makes a match's guest a member or removes it, until chat-service has done so or refuses.
    fn change_guest(self: &Rc<Self>, chat: usize, is_member: bool) {
        let World { sim, cast, .. } = &*self.world;
        let Some(guest) = cast.chats[chat].guest else { return };
        let guest = BTreeSet::from([cast.users[guest].clone()]);
        let (add, remove) = if is_member { (guest, BTreeSet::new()) } else { (BTreeSet::new(), guest) };
        let match_id = cast.chats[chat].id.clone();
        let command = ChangeMembers { match_id, add, remove, actor: None, expected_rev: None };
        let run = Rc::clone(self);
        sim.spawn(sim.start(), async move { run.insist(|| command.clone()).await });
    }

    /// Has chat-service carry out a command, whichever replica can, unless it refuses for good.
    async fn insist<C: Command + 'static>(&self, command: impl Fn() -> C) {
        while self.replicas.change(command()).await.is_err() {
            self.world.sim.sleep(Duration::from_millis(500)).await;
        }
    }

    fn end(&self) -> Outcome {
        let (acked, delivered) = self.world.promises.counts();
        let (violation, trace) = (self.world.promises.violation(), self.world.sim.dissolve());
        Outcome { violation, acked, delivered, trace }
    }
}
