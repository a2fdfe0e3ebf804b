//! What each user may do on this gateway, by REST and by all their sockets together.

use clap::Args;

use super::{Limiter, Rate};

/// How often each user may do something: per second, and at once.
#[derive(Debug, Clone, Copy, Args)]
pub struct UserRates {
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
}

/// The limiters of all users, shared by REST and sockets.
#[derive(Debug)]
pub struct UserLimits {
    /// Messages sent.
    pub sends: Limiter,
    /// `typing` with `isTyping: true`.
    pub typing: Limiter,
    /// Pages of history by REST.
    pub history: Limiter,
    /// Other reads by REST.
    pub reads: Limiter,
}

impl UserLimits {
    /// Limiters of these rates.
    pub fn new(rates: &UserRates) -> Self {
        Self {
            sends: Limiter::new(rates.sends),
            typing: Limiter::new(rates.typing),
            history: Limiter::new(rates.history),
            reads: Limiter::new(rates.reads),
        }
    }
}
