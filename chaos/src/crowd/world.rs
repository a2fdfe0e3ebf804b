//! What all users of a crowd share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use load_test::{stats::lock, tokens::TokenIssuer, transport::Endpoint};
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
    pub(crate) gateways: Vec<Arc<Endpoint>>,
    pub(crate) http: Client,
    /// Messages a second that one client means to send.
    pub(crate) rate: f64,
    pub(crate) match_length: u32,
    pub(crate) seed: u64,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) progress: Mutex<Progress>,
    pub(super) stalls: Mutex<Stalls>,
    pub(super) refusals: Mutex<Refusals>,
    pub(super) tally: Mutex<Tally>,
}

impl World {
    /// In which nobody writes by itself and matches are never long enough, until somebody sets that.
    pub(crate) fn new(gateways: Vec<Arc<Endpoint>>, phase: watch::Receiver<Phase>) -> Self {
        let name: String = std::iter::repeat_with(fastrand::lowercase).take(6).collect();
        Self {
            name: format!("c{name}"),
            origin: Instant::now(),
            gateways,
            http: Client::new(),
            rate: 0.0,
            match_length: u32::MAX,
            seed: 1,
            phase,
            progress: Mutex::default(),
            stalls: Mutex::default(),
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
        lock(&self.progress)
    }

    pub(crate) fn stalls(&self) -> MutexGuard<'_, Stalls> {
        lock(&self.stalls)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Something was refused, with this code if it is one.
    pub(crate) fn refused(&self, code: Option<Code>) {
        self.progress().refused += 1;
        *lock(&self.refusals).entry(code.map_or("?", Code::as_str)).or_default() += 1;
    }

    /// How often what was refused, by code.
    pub(crate) fn refusals(&self) -> Refusals {
        lock(&self.refusals).clone()
    }

    /// A promise was put to the test where no match is concerned; what was wrong.
    pub(crate) fn judge(&self, promise: Promise, scene: &str, wrong: Option<String>) {
        self.judge_traced(promise, scene, wrong.map(|what| (what, Vec::new())));
    }

    /// The same, with what led to it.
    pub(crate) fn judge_traced(&self, promise: Promise, scene: &str, wrong: Option<(String, Vec<String>)>) {
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
