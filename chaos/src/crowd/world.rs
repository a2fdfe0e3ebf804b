//! What all users of a crowd share.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use load_test::{tokens::TokenIssuer, transport::Endpoint};
use promises::{Promise, Tally, Violation};
use proto::Code;
use reqwest::Client;
use tokio::{sync::watch, time::Instant};

use crate::stalls::Stalls;

/// What the crowd is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everybody chats, comes and goes.
    Chatting,
    /// Nobody sends anything new or leaves; everything that is open is finished.
    Settling,
    /// Everybody hangs up.
    Over,
}

/// How often something was refused, by code.
pub type Refusals = BTreeMap<&'static str, u64>;

/// What the crowd is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages with an `ok` ack, by socket or by REST.
    pub acked: u64,
    /// Messages received live, recovered or in a page.
    pub received: u64,
    /// Refusals of any kind.
    pub refused: u64,
    /// Connected clients.
    pub connected: u64,
    /// Milestones that were announced to clients.
    pub milestones: u64,
    /// Violations found so far; what the database holds is compared at the end.
    pub violations: u64,
}

/// What all users of a crowd share.
#[derive(Debug)]
pub(crate) struct World {
    /// Begins every id, so that two crowds never meet.
    pub(crate) name: String,
    pub(crate) origin: Instant,
    pub(crate) gateways: Vec<Endpoint>,
    pub(crate) http: Client,
    /// Messages a second that one client means to send.
    pub(crate) rate: f64,
    pub(crate) match_length: u32,
    pub(crate) seed: u64,
    phase: watch::Receiver<Phase>,
    progress: Mutex<Progress>,
    stalls: Mutex<Stalls>,
    refusals: Mutex<Refusals>,
    tally: Mutex<Tally>,
}

/// What a world is made of.
pub(crate) struct Ground {
    pub(crate) gateways: Vec<Endpoint>,
    pub(crate) http: Client,
    pub(crate) rate: f64,
    pub(crate) match_length: u32,
    pub(crate) seed: u64,
    pub(crate) phase: watch::Receiver<Phase>,
}

#[cfg(test)]
impl Ground {
    /// Of a world in which nothing happens by itself.
    pub(crate) fn quiet(phase: watch::Receiver<Phase>) -> Self {
        Self { gateways: Vec::new(), http: Client::new(), rate: 0.0, match_length: 100, seed: 1, phase }
    }
}

impl World {
    pub(crate) fn new(ground: Ground) -> Self {
        let name: String = std::iter::repeat_with(fastrand::lowercase).take(6).collect();
        Self {
            name: format!("c{name}"),
            origin: Instant::now(),
            stalls: Mutex::new(Stalls::new(ground.gateways.len())),
            gateways: ground.gateways,
            http: ground.http,
            progress: Mutex::default(),
            rate: ground.rate,
            match_length: ground.match_length,
            seed: ground.seed,
            phase: ground.phase,
            refusals: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    /// The id of a user.
    pub(crate) fn user_id(&self, user: usize) -> String {
        format!("{}-u{user}", self.name)
    }

    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn now_ms(&self) -> u32 {
        u32::try_from(self.now().as_millis()).unwrap_or(u32::MAX)
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn phase_changes(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stalls(&self) -> MutexGuard<'_, Stalls> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was refused, with this code if it is one.
    pub(crate) fn refused(&self, code: Option<Code>) {
        self.progress().refused += 1;
        *self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(code.map_or("?", Code::as_str))
            .or_default() += 1;
    }

    /// How often what was refused, by code.
    pub(crate) fn refusals(&self) -> Refusals {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A promise was put to the test where no match is concerned; what was wrong, and what led to it.
    pub(crate) fn judge(&self, promise: Promise, scene: &str, wrong: Option<(String, Vec<String>)>) {
        let mut tally = self.tally();
        tally.checked(promise, 1);
        if let Some((what, trace)) = wrong {
            self.progress().violations += 1;
            tally.violated(Violation { promise, at: self.now(), scene: scene.to_owned(), what, trace });
        }
    }
}

/// Tokens that outlive every run.
pub(crate) fn tokens(secret: &str) -> TokenIssuer {
    // Whatever jump a clock makes.
    TokenIssuer::new(secret, Duration::from_hours(72)).backdated(Duration::from_hours(24))
}
