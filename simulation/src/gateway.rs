//! A gateway: the core that ships, in a thin shell that carries its outputs out on the simulated network.

mod allowance;
mod asking;
mod connecting;
mod inbox;
mod running;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use gateway_core::{Moment, Settings, SocketId, views::MessageFields};
use proto::UserId;

use crate::{
    executor::ProcessId,
    network::{Away, Subject},
    pipe::Pipe,
    world::World,
};
use allowance::Allowance;

/// The core, as this shell has it: sends hold nothing.
type Core = gateway_core::User<()>;

/// Few messages in an ack and in a page, so that the runs have several of them.
const SETTINGS: Settings = Settings { fields: MessageFields::Spread, join_page: 4, page: 3 };
/// How often typists are looked for who have said nothing more.
const TICK: Duration = Duration::from_secs(1);
/// Over this time a gateway that is drained closes its clients' transports.
const DRAIN_WINDOW: Duration = Duration::from_secs(1);
/// How often a call is made when its replica turns out to be gone.
const TRIES: usize = 3;

/// A gateway. Its memory dies with it.
pub(crate) struct Gateway {
    pub(crate) process: ProcessId,
    world: Rc<World>,
    users: RefCell<BTreeMap<usize, Rc<User>>>,
    allowance: Allowance,
}

/// A user with at least one socket here.
struct User {
    index: usize,
    id: UserId,
    /// Whether what is published to the inbox from now on is heard.
    is_subscribed: Cell<bool>,
    presences: Cell<usize>,
    state: RefCell<State>,
}

/// What changes with each input.
#[derive(Default)]
struct State {
    core: Core,
    pipes: Vec<(SocketId, Rc<Pipe>)>,
}

/// Keeps a user's entry alive.
struct Presence {
    gateway: Rc<Gateway>,
    user: Rc<User>,
}

impl Gateway {
    /// Starts a gateway.
    pub(crate) fn start(world: &Rc<World>) -> Rc<Self> {
        let process = world.sim.start();
        let allowance = Allowance::new(&world.net);
        let gateway = Rc::new(Self { process, world: Rc::clone(world), users: RefCell::default(), allowance });
        world.sim.spawn(process, inbox::sweep(Rc::clone(&gateway)));
        world.sim.spawn(process, inbox::tick(Rc::clone(&gateway)));
        gateway
    }

    /// Takes a client's connection.
    pub(crate) fn accept(self: &Rc<Self>, pipe: Rc<Pipe>) {
        self.world.sim.spawn(self.process, connecting::serve(Rc::clone(self), pipe));
    }

    /// Tells the clients that their transports will be closed, and closes them.
    pub(crate) fn drain(self: &Rc<Self>) {
        for user in self.users() {
            running::step(self, &user, |core, step| core.drained(DRAIN_WINDOW, step));
            for (_, pipe) in &user.state.borrow().pipes {
                let (pipe, within) = (Rc::clone(pipe), DRAIN_WINDOW.as_micros().try_into().unwrap_or(u64::MAX));
                let after = Duration::from_micros(self.world.sim.chance(|rng| rng.u64(0..within)));
                self.world.sim.after(after, move || pipe.close());
            }
        }
    }

    /// Lets go of the users and sockets, which hold each other.
    pub(crate) fn dissolve(&self) {
        let states: Vec<State> = self.users.borrow().values().map(|user| user.state.take()).collect();
        drop(states);
    }

    fn users(&self) -> Vec<Rc<User>> {
        self.users.borrow().values().cloned().collect()
    }

    fn moment(&self) -> Moment {
        let sim = &self.world.sim;
        Moment { now: sim.instant(), unix_ms: sim.now_ms(), random: sim.chance(|rng| rng.u64(..)) }
    }

    fn enter(self: &Rc<Self>, index: usize) -> Presence {
        let mut users = self.users.borrow_mut();
        let user = users.entry(index).or_insert_with(|| {
            let user = Rc::new(User {
                index,
                id: self.world.cast.users[index].clone(),
                is_subscribed: Cell::new(false),
                presences: Cell::new(0),
                state: RefCell::default(),
            });
            self.world.sim.spawn(self.process, inbox::listen(Rc::clone(self), Rc::clone(&user)));
            user
        });
        user.presences.set(user.presences.get() + 1);
        Presence { gateway: Rc::clone(self), user: Rc::clone(user) }
    }

    /// Asks a replica of chat-service, and another one if that is not there.
    async fn ask<T: 'static, F>(&self, ask: impl Fn(Rc<World>) -> F) -> Result<T, Away>
    where
        F: Future<Output = Result<T, Away>> + 'static,
    {
        let mut result = Err(Away);
        for _ in 0..TRIES {
            let Some(replica) = self.world.any_replica() else { break };
            result = self.world.net.call(replica.process, ask(Rc::clone(&self.world))).await;
            if result.is_ok() {
                return result;
            }
        }
        self.world.sim.sleep(self.world.net.delay()).await;
        result
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.user.presences.set(self.user.presences.get() - 1);
        if self.user.presences.get() == 0 {
            self.gateway.users.borrow_mut().remove(&self.user.index);
            self.gateway.world.net.unsubscribe(self.gateway.process, Subject::User(self.user.index));
        }
    }
}
