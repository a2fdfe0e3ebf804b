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

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm { interval: 300, timeout: 200, tolerance: 4 };

    #[test]
    fn a_silent_client_is_dead_after_interval_and_timeout() {
        let mut heartbeat = Heartbeat::start(RHYTHM, 1000);
        assert_eq!(heartbeat.beat(RHYTHM, 1100), Beat::Wait(1300));
        assert_eq!(heartbeat.beat(RHYTHM, 1298), Beat::Ping(1498));
        assert!(!heartbeat.is_dead(1497));
        assert!(heartbeat.is_dead(1498));
        assert_eq!(heartbeat.beat(RHYTHM, 1498), Beat::Dead);
    }

    #[test]
    fn an_answer_counts_until_the_next_ping() {
        let mut heartbeat = Heartbeat::start(RHYTHM, 0);
        assert_eq!(heartbeat.beat(RHYTHM, 300), Beat::Ping(500));
        heartbeat.pong(RHYTHM, 320);
        assert_eq!(heartbeat.beat(RHYTHM, 500), Beat::Wait(620));
        assert_eq!(heartbeat.beat(RHYTHM, 620), Beat::Ping(820));
    }

    #[test]
    fn an_answer_to_no_ping_postpones_nothing() {
        let mut heartbeat = Heartbeat::start(RHYTHM, 0);
        heartbeat.pong(RHYTHM, 200);
        assert_eq!(heartbeat, Heartbeat::PingAt(300));
    }

    #[test]
    fn an_interval_shorter_than_the_timeout_is_kept() {
        let rhythm = Rhythm { interval: 100, timeout: 1000, tolerance: 0 };
        let mut heartbeat = Heartbeat::start(rhythm, 0);
        assert_eq!(heartbeat.beat(rhythm, 100), Beat::Ping(200));
        heartbeat.pong(rhythm, 110);
        assert_eq!(heartbeat.beat(rhythm, 200), Beat::Wait(210));
        assert_eq!(heartbeat.beat(rhythm, 210), Beat::Ping(310));
        assert_eq!(heartbeat.beat(rhythm, 310), Beat::Wait(1210));
    }
}
