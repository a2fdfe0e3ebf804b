//! How a socket comes and goes.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use gateway_core::{
    Arrival, ClientEvent,
    epoch::Epoch,
    pid::Pid,
    recovery::{Brought, Recovery},
    validity::Validity,
};

use super::{Gateway, User};
use crate::{
    network::{Away, Subject},
    pipe::{Down, Pipe, Up},
    store::EPOCH,
    world::World,
};

/// How long a CONNECT may take before the transport is closed, so that the client comes back.
const DECISION_TIMEOUT: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Tokens last longer than any run.
const TOKEN: Validity = Validity { issued_at_ms: 0, expires_at_s: i64::MAX / 1_000, is_revoked: false };

/// Keeps a user's entry alive.
struct Presence {
    gateway: Rc<Gateway>,
    user: Rc<User>,
}

impl Gateway {
    /// Serves a connection from its CONNECT to its end.
    pub(super) async fn serve(self: Rc<Self>, pipe: Rc<Pipe>) {
        let Some(Up::Connect { user, pid, offset }) = pipe.up.next().await else { return };
        let Presence { user, .. } = &self.enter(user);
        let decision = self.connect(user, (pid.as_deref(), offset.as_deref()));
        let Some(Ok((recovered, heard))) = self.world.sim.timeout(DECISION_TIMEOUT, decision).await else {
            return pipe.close();
        };
        pipe.down.send(Down::Connected { pid: recovered.0.pid.as_str().to_owned() });
        let arrival = Arrival::recovered(recovered, heard, TOKEN, self.moment());
        let id = arrival.id();
        user.state.borrow_mut().pipes.push((id, Rc::clone(&pipe)));
        self.step(user, |core, step| core.connected(arrival, step));
        while let Some(Up::Event { name, argument, ack }) = pipe.up.next().await {
            let event = ClientEvent { name, arguments: [Some(&argument), None], ack: Some(ack), is_invalid: false };
            self.step(user, |core, step| core.client_event(id, &event, step));
        }
        self.step(user, |core, step| core.disconnected(id, step));
        user.state.borrow_mut().pipes.retain(|(other, _)| *other != id);
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
            self.world.sim.spawn(self.process, Rc::clone(self).listen(Rc::clone(&user)));
            user
        });
        user.presences.set(user.presences.get() + 1);
        Presence { gateway: Rc::clone(self), user: Rc::clone(user) }
    }

    async fn connect(
        &self,
        user: &User,
        (pid, offset): (Option<&str>, Option<&str>),
    ) -> Result<((Recovery, Epoch), u64), Away> {
        let World { sim, net, .. } = &*self.world;
        while !user.is_subscribed.get() {
            sim.sleep(LOOK_AGAIN).await;
        }
        // Heads are read after the inbox is subscribed, and what it hears from here on is counted.
        let heard = user.state.borrow().core.heard();
        let brought = Brought::read(&user.id, pid, offset);
        let heads = match brought.matches() {
            none if none.is_empty() => Vec::new(),
            matches => self.ask(|store| store.heads(matches.clone(), true)).await?,
        };
        let random = sim.chance(|rng| std::array::from_fn(|_| rng.u8(..)));
        // Nobody restores this database.
        let epoch = Epoch::read(EPOCH).ok_or(Away)?;
        let recovery = brought.recover(&user.id, (&heads, epoch), Pid::from_random(random, &user.id));
        // Accepting takes a moment in which the socket hears nothing.
        sim.sleep(net.delay()).await;
        Ok(((recovery, epoch), heard))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Self { gateway, user } = self;
        user.presences.set(user.presences.get() - 1);
        if user.presences.get() == 0 {
            gateway.users.borrow_mut().remove(&user.index);
            gateway.world.net.unsubscribe(gateway.process, Subject::User(user.index));
        }
    }
}
