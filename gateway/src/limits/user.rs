//! What each user may do on this gateway, by REST and by all their sockets together.

use std::time::{Duration, Instant};

use clap::Args;

use super::{Limiter, Rate};

/// How often each user may do something: per second, and at once. A new connection changes nothing.
#[derive(Debug, Clone, Copy, Args)]
pub struct UserRates {
    /// Events of any kind per user, by all the user's sockets here.
    #[arg(long = "limit-events", env = "LIMIT_EVENTS", value_name = "PER_SECOND/BURST", default_value = "50/200")]
    pub events: Rate,

    /// Events per user that are refused for coming too often, before the connection is closed.
    #[arg(long = "limit-refusals", env = "LIMIT_REFUSALS", value_name = "PER_SECOND/BURST", default_value = "20/500")]
    pub refusals: Rate,

    /// Joins per user, which read history.
    #[arg(long = "limit-joins", env = "LIMIT_JOINS", value_name = "PER_SECOND/BURST", default_value = "5/20")]
    pub joins: Rate,

    /// Relayed call signals per user.
    #[arg(long = "limit-signals", env = "LIMIT_SIGNALS", value_name = "PER_SECOND/BURST", default_value = "30/100")]
    pub call_signals: Rate,

    /// Messages sent per user.
    #[arg(long = "limit-sends", env = "LIMIT_SENDS", value_name = "PER_SECOND/BURST", default_value = "20/40")]
    pub sends: Rate,

    /// `typing` with `isTyping: true` per user.
    #[arg(long = "limit-typing", env = "LIMIT_TYPING", value_name = "PER_SECOND/BURST", default_value = "2/4")]
    pub typing: Rate,

    /// Pages of history per user by REST.
    #[arg(long = "limit-history", env = "LIMIT_HISTORY", value_name = "PER_SECOND/BURST", default_value = "5/20")]
    pub history: Rate,

    /// Other reads per user by REST.
    #[arg(long = "limit-reads", env = "LIMIT_READS", value_name = "PER_SECOND/BURST", default_value = "20/40")]
    pub reads: Rate,

    /// Bytes that joins, recoveries and reads by REST give to a user.
    #[arg(
        long = "limit-read-bytes",
        env = "LIMIT_READ_BYTES",
        value_name = "PER_SECOND/BURST",
        default_value = "32768/33554432"
    )]
    pub read_bytes: Rate,
}

/// The limiters of all users, shared by REST and sockets.
#[derive(Debug)]
pub struct UserLimits {
    pub(super) events: Limiter,
    pub(super) refusals: Limiter,
    /// Joins.
    pub joins: Limiter,
    /// Relayed call signals.
    pub call_signals: Limiter,
    /// Messages sent.
    pub sends: Limiter,
    /// `typing` with `isTyping: true`.
    pub typing: Limiter,
    /// Pages of history by REST.
    pub history: Limiter,
    /// Other reads by REST.
    pub reads: Limiter,
    read_bytes: Limiter,
}

impl UserLimits {
    /// Limiters of these rates.
    pub fn new(rates: &UserRates) -> Self {
        Self {
            events: Limiter::new(rates.events),
            refusals: Limiter::new(rates.refusals),
            joins: Limiter::new(rates.joins),
            call_signals: Limiter::new(rates.call_signals),
            sends: Limiter::new(rates.sends),
            typing: Limiter::new(rates.typing),
            history: Limiter::new(rates.history),
            reads: Limiter::new(rates.reads),
            read_bytes: Limiter::new(rates.read_bytes),
        }
    }

    /// Whether the user may read more at `now`. What a read gives is known only afterwards:
    /// [`has_read`](Self::has_read).
    ///
    /// # Errors
    /// How long the user has to wait.
    pub fn may_read(&self, user: &str, now: Instant) -> Result<(), Duration> {
        self.read_bytes.wait(user, now).map_or(Ok(()), Err)
    }

    /// The user was given so many bytes.
    pub fn has_read(&self, user: &str, bytes: usize, now: Instant) {
        self.read_bytes.spend(user, u32::try_from(bytes).unwrap_or(u32::MAX), now);
    }
}
