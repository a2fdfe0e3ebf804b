//! How many sockets each user may have here, and when one of them makes room.

use std::{num::NonZeroU32, time::Duration};

use clap::Args;

/// How many sockets each user may have on this gateway.
#[derive(Debug, Clone, Copy, Args)]
pub struct SeatLimits {
    /// Sockets per user. One more takes the place of one that has been silent for long, or is refused.
    #[arg(long, env = "MAX_USER_SOCKETS", default_value = "16")]
    pub max_user_sockets: NonZeroU32,

    /// Seconds without an event of the client after which a socket makes room for another of its user.
    #[arg(long, env = "SILENT_SOCKET_S", default_value_t = 600)]
    pub silent_socket_s: u64,
}

impl SeatLimits {
    /// How long a socket may be silent before it makes room.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silent_socket_s)
    }
}
