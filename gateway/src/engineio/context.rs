//! What all sessions of a server share.

use super::{Config, deadlines::Deadlines, heartbeat::Rhythm, registry::Registry};
use std::time::{Duration, Instant};

/// What all sessions of a server share.
#[derive(Debug)]
pub(super) struct Context<S> {
    pub(super) config: Config,
    pub(super) rhythm: Rhythm,
    pub(super) registry: Registry<S>,
    pub(super) deadlines: Deadlines<S>,
    start: Instant,
}

impl<S> Context<S> {
    pub(super) fn new(config: Config) -> Self {
        let timeout = millis(config.ping_timeout);
        let slice = Deadlines::<S>::slice_for(timeout);
        let interval = millis(config.ping_interval);
        Self {
            rhythm: Rhythm { interval, timeout, tolerance: 2 * slice },
            registry: Registry::new(),
            deadlines: Deadlines::new(slice),
            start: Instant::now(),
            config,
        }
    }

    /// Milliseconds since the server's start.
    pub(super) fn now(&self) -> u64 {
        millis(self.start.elapsed())
    }

    /// The instant of a time in milliseconds since the server's start.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_millis(at)
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
