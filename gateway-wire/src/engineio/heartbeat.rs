//! When to ping a client and when to give it up. Pure: times go in as milliseconds since the server's start.

/// Where the heartbeat of a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// Answered, or not pinged yet; the next ping is due at this time.
    PingAt(u64),
    /// Pinged; the answer must come by this time.
    PongBy(u64),
}

/// The durations of the heartbeat, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    pub(super) interval: u64,
    pub(super) timeout: u64,
    /// How much earlier than due something may be done, as deadlines are looked at in slices.
    pub(super) tolerance: u64,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing; look again at this time.
    Wait(u64),
    /// Ping; look again at this time.
    Ping(u64),
    /// The client is dead.
    Dead,
}

impl Heartbeat {
    pub(super) fn start(rhythm: Rhythm, now: u64) -> Self {
        Self::PingAt(now + rhythm.interval)
    }

    /// What is due at `now`.
    pub(super) fn beat(&mut self, rhythm: Rhythm, now: u64) -> Beat {
        match *self {
            Self::PingAt(at) if at <= now + rhythm.tolerance => {
                *self = Self::PongBy(now + rhythm.timeout);
                // If the answer comes, the next ping may be due before the time-out would have been.
                Beat::Ping(now + rhythm.timeout.min(rhythm.interval))
            }
            Self::PongBy(by) if by <= now + rhythm.tolerance => Beat::Dead,
            Self::PingAt(at) | Self::PongBy(at) => Beat::Wait(at),
        }
    }

    /// The client answered. An answer to no ping changes nothing.
    pub(super) fn pong(&mut self, rhythm: Rhythm, now: u64) {
        if matches!(self, Self::PongBy(_)) {
            *self = Self::PingAt(now + rhythm.interval);
        }
    }

    /// Whether the answer to a ping is overdue, to the millisecond.
    pub(super) fn is_dead(self, now: u64) -> bool {
        matches!(self, Self::PongBy(by) if by <= now)
    }
}
