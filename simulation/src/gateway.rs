//! A gateway: the pure cores of `gateway/src/chat` in a shell that is made anew after the real one.

mod connecting;
mod delivery;
mod healing;
mod inbox;
mod joins;
mod order;
mod sends;
mod socket;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use gateway_core::told::Told;
use proto::UserId;

use crate::{
    executor::ProcessId,
    network::{Away, Subject},
    pipe::Pipe,
    world::World,
};
use socket::Socket;

/// A gateway. Its memory dies with it.
pub(crate) struct Gateway {
    pub(crate) process: ProcessId,
    world: Rc<World>,
    users: RefCell<BTreeMap<usize, Rc<User>>>,
}

/// A user with at least one socket here.
struct User {
    index: usize,
    id: UserId,
    /// Whether what is published to the inbox from now on is heard.
    is_subscribed: Cell<bool>,
    /// How many events the inbox has had.
    heard: Cell<u64>,
    presences: Cell<usize>,
    sockets: RefCell<Vec<Rc<Socket>>>,
    told: RefCell<Told>,
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
        let gateway = Rc::new(Self { process, world: Rc::clone(world), users: RefCell::default() });
        world.sim.spawn(process, healing::sweep(Rc::clone(&gateway)));
        gateway
    }

    /// Takes a client's connection.
    pub(crate) fn accept(self: &Rc<Self>, pipe: Rc<Pipe>) {
        self.world.sim.spawn(self.process, connecting::serve(Rc::clone(self), pipe));
    }

    /// Lets go of the users and sockets, which hold each other.
    pub(crate) fn dissolve(&self) {
        let sockets: Vec<_> = self.users.borrow().values().flat_map(|user| user.sockets.take()).collect();
        drop(sockets);
    }

    fn enter(self: &Rc<Self>, index: usize) -> Presence {
        let mut users = self.users.borrow_mut();
        let user = users.entry(index).or_insert_with(|| {
            let user = Rc::new(User {
                index,
                id: self.world.cast.users[index].clone(),
                is_subscribed: Cell::new(false),
                heard: Cell::new(0),
                presences: Cell::new(0),
                sockets: RefCell::default(),
                told: RefCell::default(),
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

    fn sockets(&self) -> Vec<Rc<Socket>> {
        self.users.borrow().values().flat_map(|user| user.sockets.borrow().clone()).collect()
    }
}

/// How often a call is made when its replica turns out to be gone.
const TRIES: usize = 3;

impl Drop for Presence {
    fn drop(&mut self) {
        self.user.presences.set(self.user.presences.get() - 1);
        if self.user.presences.get() == 0 {
            self.gateway.users.borrow_mut().remove(&self.user.index);
            self.gateway.world.net.unsubscribe(self.gateway.process, Subject::User(self.user.index));
        }
    }
}
