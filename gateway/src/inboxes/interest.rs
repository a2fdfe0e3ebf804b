//! Which subscriptions one connection is to have: users come and go, its task follows.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use thiserror::Error;

use super::protocol;

/// How long a user may wait until the server has its subscription.
const PATIENCE: Duration = Duration::from_secs(2);

/// A subscription did not stand in time, as the servers cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("NATS does not confirm the subscription of an inbox")]
pub struct NotSubscribed;

/// The wanted subscriptions of one connection, by number: the `sid` of the protocol. A number is never used twice.
#[derive(Debug)]
pub(super) struct Interest {
    changes: Mutex<Changes>,
    changed: Notify,
    /// The server has all wanted subscriptions with a smaller number.
    proven: watch::Sender<u64>,
}

#[derive(Debug)]
struct Changes {
    next_sid: u64,
    /// Somebody takes the commands. Otherwise there is no link, and the next one subscribes all that are wanted then.
    is_followed: bool,
    /// `SUB` and `UNSUB`, in order. Bounded by what comes and goes until a link is given up for its silence.
    commands: Vec<u8>,
}

impl Default for Interest {
    fn default() -> Self {
        let changes = Changes { next_sid: 1, is_followed: false, commands: Vec::new() };
        Self { changes: Mutex::new(changes), changed: Notify::new(), proven: watch::Sender::new(0) }
    }
}

impl Interest {
    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants a subject from now on; returns the number of the subscription.
    pub(super) fn add(&self, subject: &str) -> u64 {
        let mut changes = self.lock();
        let sid = changes.next_sid;
        changes.next_sid += 1;
        if changes.is_followed {
            protocol::subscribe(&mut changes.commands, subject, sid);
            self.changed.notify_one();
        }
        sid
    }

    /// Wants a subscription no more.
    pub(super) fn remove(&self, sid: u64) {
        let mut changes = self.lock();
        if changes.is_followed {
            protocol::unsubscribe(&mut changes.commands, sid);
            self.changed.notify_one();
        }
    }

    /// Waits until the server has the subscription: what is published from then on is not missed.
    pub(super) async fn proven(&self, sid: u64) -> Result<(), NotSubscribed> {
        let mut proven = self.proven.subscribe();
        match timeout(PATIENCE, proven.wait_for(|proven| *proven > sid)).await {
            Ok(Ok(_)) => Ok(()),
            // The sender is ours, so that only time can run out.
            _ => Err(NotSubscribed),
        }
    }

    /// A new link takes the commands from now on. It has to subscribe all that is wanted now; the numbers of that are
    /// smaller than the one returned. What comes and goes meanwhile may be subscribed twice, or unsubscribed without
    /// need: the server minds neither.
    pub(super) fn follow(&self) -> u64 {
        let mut changes = self.lock();
        changes.is_followed = true;
        changes.commands.clear();
        changes.next_sid
    }

    /// No link takes the commands any more, and nothing is subscribed.
    pub(super) fn forsake(&self) {
        let mut changes = self.lock();
        changes.is_followed = false;
        changes.commands = Vec::new();
        self.proven.send_replace(0);
    }

    /// Waits until there are commands to take.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The commands that make the subscriptions those that are wanted, of all numbers smaller than the one returned.
    pub(super) fn take(&self) -> (Vec<u8>, u64) {
        let mut changes = self.lock();
        (std::mem::take(&mut changes.commands), changes.next_sid)
    }

    /// The server has all subscriptions with a smaller number.
    pub(super) fn prove(&self, below: u64) {
        self.proven.send_if_modified(|proven| {
            let is_news = below > *proven;
            *proven = below.max(*proven);
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_under_a_link_is_commanded_in_order() {
        let interest = Interest::default();
        assert_eq!(interest.add("user.early.*"), 1);
        assert_eq!(interest.follow(), 2);
        assert_eq!(interest.add("user.alice.*"), 2);
        interest.remove(1);
        let (commands, below) = interest.take();
        assert_eq!(String::from_utf8(commands).unwrap(), "SUB user.alice.* 2\r\nUNSUB 1\r\n");
        assert_eq!(below, 3);
        assert_eq!(interest.take(), (Vec::new(), 3));
    }

    #[test]
    fn without_a_link_nothing_piles_up() {
        let interest = Interest::default();
        interest.follow();
        interest.add("user.alice.*");
        interest.forsake();
        interest.add("user.bob.*");
        interest.remove(1);
        assert_eq!(interest.take(), (Vec::new(), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_is_proven_while_its_link_stands() {
        let interest = Interest::default();
        let sid = interest.add("user.alice.*");
        assert_eq!(interest.proven(sid).await, Err(NotSubscribed));
        let (proven, ()) = tokio::join!(interest.proven(sid), async { interest.prove(sid + 1) });
        assert_eq!(proven, Ok(()));
        interest.prove(0);
        assert_eq!(interest.proven(sid).await, Ok(()));
        interest.forsake();
        assert_eq!(interest.proven(sid).await, Err(NotSubscribed));
    }
}
