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

use crate::{executor::ProcessId, fleet::Fleet, pipe::Pipe, replicas::Replicas, world::World};
use allowance::Allowance;

/// The core, as this shell has it: sends hold nothing.
type Core = gateway_core::User<()>;

/// All gateways.
pub(crate) type Gateways = Fleet<Rc<Gateway>>;

/// Few messages in an ack and in a page, so that the runs have several of them.
const SETTINGS: Settings = Settings { fields: MessageFields::Spread, join_page: 4, page: 3, receipts: false };
/// Over this time a gateway that is drained closes its clients' transports.
const DRAIN_WINDOW: Duration = Duration::from_secs(1);

/// A gateway. Its memory dies with it.
pub(crate) struct Gateway {
    world: Rc<World>,
    replicas: Rc<Replicas>,
    process: ProcessId,
    users: RefCell<BTreeMap<usize, Rc<User>>>,
    allowance: Allowance,
}

/// A user with at least one socket here.
struct User {
    index: usize,
    id: UserId,
    /// Whether what is published to the inbox from now on is heard.
    is_subscribed: Cell<bool>,
    /// Connections.
    presences: Cell<usize>,
    state: RefCell<State>,
}

/// What changes with each input.
#[derive(Default)]
struct State {
    core: Core,
    pipes: Vec<(SocketId, Rc<Pipe>)>,
}

impl Gateway {
    /// Starts a gateway.
    pub(crate) fn start(world: &Rc<World>, replicas: &Rc<Replicas>, process: ProcessId) -> Rc<Self> {
        let gateway = Rc::new(Self {
            world: Rc::clone(world),
            replicas: Rc::clone(replicas),
            process,
            users: RefCell::default(),
            allowance: Allowance::new(&world.net),
        });
        world.sim.spawn(process, Rc::clone(&gateway).sweep());
        world.sim.spawn(process, Rc::clone(&gateway).tick());
        gateway
    }

    /// Takes a client's connection.
    pub(crate) fn accept(self: Rc<Self>, pipe: Rc<Pipe>) {
        self.world.sim.clone().spawn(self.process, self.serve(pipe));
    }

    /// Tells the clients that their transports will be closed, and closes them.
    pub(crate) fn drain(self: &Rc<Self>) {
        let within = DRAIN_WINDOW.as_micros().try_into().unwrap_or(u64::MAX);
        for user in self.users() {
            self.step(&user, |core, step| core.drained(DRAIN_WINDOW, step));
            for (_, pipe) in user.state.borrow().pipes.clone() {
                let after = Duration::from_micros(self.world.sim.chance(|rng| rng.u64(0..within)));
                self.world.sim.after(after, move || pipe.close());
            }
        }
    }

    fn users(&self) -> Vec<Rc<User>> {
        self.users.borrow().values().cloned().collect()
    }

    fn moment(&self) -> Moment {
        let sim = &self.world.sim;
        Moment { now: sim.instant(), unix_ms: sim.now_ms(), random: sim.chance(|rng| rng.u64(..)) }
    }
}
