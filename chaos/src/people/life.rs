//! The task of one simulated user: connects it to one gateway after the other, and carries its frames and calls.

use std::{sync::Arc, time::Duration};

use load_test::{transport::Connection, user::set_timer};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    person::{End, Person},
    rest::Done,
};
use crate::crowd::world::{Phase, World};

pub(crate) use super::person::Identity;

/// How long a connection may take before another gateway is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// The pause before connecting again: between half and one and a half of this.
const PAUSE: Duration = Duration::from_millis(500);
/// Calls of one user under way at a time.
const MAX_CALLS: usize = 32;

/// One user on one device, and what carries it.
pub(crate) struct Life {
    person: Person,
    calls: JoinSet<Done>,
    phase: watch::Receiver<Phase>,
    /// Bounds how many users shake hands at a time.
    handshakes: Arc<Semaphore>,
    rng: fastrand::Rng,
}

impl Life {
    pub(crate) fn new(world: &Arc<World>, identity: Identity, handshakes: &Arc<Semaphore>) -> Self {
        let rng = fastrand::Rng::with_seed(world.seed ^ identity.number as u64);
        Self {
            person: Person::new(world, identity),
            calls: JoinSet::new(),
            phase: world.phase_changes(),
            handshakes: Arc::clone(handshakes),
            rng,
        }
    }

    /// Lives until the crowd goes home.
    pub(crate) async fn live(mut self) {
        while self.world().phase() != Phase::Over {
            let gateway = self.rng.usize(0..self.world().gateways.len());
            if let Some((connection, answer)) = self.connect(gateway).await
                && self.person.connected(&answer).is_ok()
            {
                self.converse(connection).await;
                self.person.disconnected();
            }
            if self.world().phase() != Phase::Over {
                self.pause().await;
            }
        }
        self.calls.shutdown().await;
    }

    fn world(&self) -> Arc<World> {
        Arc::clone(self.person.world())
    }

    async fn connect(&self, gateway: usize) -> Option<(Connection, String)> {
        // The semaphore is never closed.
        let _permit = self.handshakes.acquire().await;
        let connecting = async {
            let mut connection = Connection::open_transport(&self.world().gateways[gateway], None).await.ok()?;
            let answer = connection.connect(&self.person.auth()).await.ok()?;
            Some((connection, answer))
        };
        timeout(CONNECT_LIMIT, connecting).await.ok()?
    }

    async fn converse(&mut self, mut connection: Connection) {
        let world = self.world();
        let silence_limit = connection.silence_limit();
        let mut heard = Instant::now();
        let mut timer = std::pin::pin!(sleep_until(heard));
        loop {
            match self.person.advance() {
                Ok(()) => {}
                Err(End::HangUp { in_order: true }) => return connection.close().await,
                Err(_) => return,
            }
            while let Some(frame) = self.person.next_frame() {
                if connection.send(frame).await.is_err() {
                    return;
                }
            }
            self.make_calls(&world);
            set_timer(timer.as_mut(), (world.origin + self.person.wake_at()).min(heard + silence_limit));
            tokio::select! {
                biased;
                _ = self.phase.changed() => if world.phase() == Phase::Over {
                    return connection.close().await;
                },
                Some(Ok(done)) = self.calls.join_next() => self.person.called(done),
                received = connection.receive() => {
                    let Ok(text) = received else { return };
                    heard = Instant::now();
                    if self.person.handle(&text).is_err() {
                        return;
                    }
                }
                () = timer.as_mut() => if heard + silence_limit <= Instant::now() {
                    return;
                },
            }
        }
    }

    fn make_calls(&mut self, world: &Arc<World>) {
        while self.calls.len() < MAX_CALLS
            && let Some(call) = self.person.next_call()
        {
            let world = Arc::clone(world);
            self.calls.spawn(async move { call.run(&world).await });
        }
    }

    async fn pause(&mut self) {
        sleep(PAUSE.mul_f64(0.5 + self.rng.f64())).await;
        while let Some(Ok(done)) = self.calls.try_join_next() {
            self.person.called(done);
        }
    }
}
