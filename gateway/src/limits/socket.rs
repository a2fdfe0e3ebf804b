//! What each socket may do.

use clap::Args;

use super::Rate;

/// How often each socket may do something: per second, and at once.
#[derive(Debug, Clone, Copy, Args)]
pub struct SocketRates {
    /// Events of any kind per socket.
    #[arg(long = "limit-events", env = "LIMIT_EVENTS", value_name = "PER_SECOND/BURST", default_value = "50/200")]
    pub events: Rate,

    /// Joins per socket, which read history.
    #[arg(long = "limit-joins", env = "LIMIT_JOINS", value_name = "PER_SECOND/BURST", default_value = "5/20")]
    pub joins: Rate,

    /// Relayed call signals per socket.
    #[arg(long = "limit-signals", env = "LIMIT_SIGNALS", value_name = "PER_SECOND/BURST", default_value = "30/100")]
    pub call_signals: Rate,
}
