//! What a user hears, and what happens to all users now and then.

use std::{rc::Rc, time::Duration};

use super::{Core, Gateway, User};
use crate::{
    channel::Queue,
    network::{Packet, Subject},
};

/// How often typists are looked for who have said nothing more.
const TICK: Duration = Duration::from_secs(1);
const COMPARED_EVERY: Duration = Duration::from_secs(20);
/// After a disturbance the subscriptions need a moment to stand again.
const DISTURBANCE_PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=400;

impl Gateway {
    /// Listens until the gateway dies; a user who is gone has no sockets.
    pub(super) async fn listen(self: Rc<Self>, user: Rc<User>) {
        let mailbox = Queue::default();
        self.world.net.subscribe(self.process, Subject::User(user.index), &mailbox).await;
        user.is_subscribed.set(true);
        loop {
            let Packet::Inbox(event) = mailbox.pop().await else { continue };
            self.step(&user, |core, step| {
                core.hears();
                core.inbox_event((*event).clone(), step)
            });
        }
    }

    /// Looks for typists who have said nothing more, until the gateway dies.
    pub(super) async fn tick(self: Rc<Self>) {
        loop {
            self.world.sim.sleep(TICK).await;
            for user in self.users() {
                let has_typists = user.state.borrow().core.has_typists();
                if has_typists {
                    self.step(&user, Core::expire_typists);
                }
            }
        }
    }

    /// Compares heads until the gateway dies.
    pub(super) async fn sweep(self: Rc<Self>) {
        let (sim, disturbances) = (&self.world.sim, self.world.net.disturbances(self.process));
        let mut wait = Duration::from_millis(sim.chance(|rng| rng.u64(0..20_000)));
        loop {
            if sim.timeout(wait, disturbances.pop()).await.is_some() {
                while disturbances.try_pop().is_some() {}
                sim.sleep(Duration::from_millis(sim.chance(|rng| rng.u64(DISTURBANCE_PAUSE_MS)))).await;
            }
            wait = COMPARED_EVERY;
            for user in self.users() {
                self.step(&user, Core::compare_heads);
            }
        }
    }
}
