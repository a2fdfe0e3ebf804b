//! Whether a user who is refused goes on far above the limit.

use std::time::{Duration, Instant};

/// Why an event is refused by its user's limit of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// It comes too early; there is room for it after this long.
    TooEarly(Duration),
    /// The same, and the user has been refused so often that the connection is to be closed.
    GoesOn(Duration),
}

impl super::UserLimits {
    /// Takes one of the user's events at `now`. Refusals are counted by user, so that a new connection changes nothing.
    ///
    /// # Errors
    /// What is to be done with an event that the limit refuses.
    pub fn take_event(&self, user: &str, now: Instant) -> Result<(), Flood> {
        self.events.take(user, now).map_err(|wait| match self.refusals.take(user, now) {
            Ok(()) => Flood::TooEarly(wait),
            Err(_) => Flood::GoesOn(wait),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::limits::{UserLimits, UserRates};

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        rates: UserRates,
    }

    fn limits() -> UserLimits {
        UserLimits::new(&Flags::parse_from(["gateway"]).rates)
    }

    /// Sends at an even rate and gives how many events were taken, refused, and refused as part of a flood.
    fn send(limits: &UserLimits, per_second: u32, events: u32, start: Instant) -> [u32; 3] {
        let mut counts = [0; 3];
        for number in 0..events {
            let now = start + Duration::from_secs(1) / per_second * number;
            match limits.take_event("mallory", now) {
                Ok(()) => counts[0] += 1,
                Err(Flood::TooEarly(_)) => counts[1] += 1,
                Err(Flood::GoesOn(_)) => counts[2] += 1,
            }
        }
        counts
    }

    #[test]
    fn a_burst_of_a_hundred_events_too_many_is_refused_and_no_flood() {
        let [taken, refused, flood] = send(&limits(), 1_000, 400, Instant::now());
        assert!(taken >= 200 && refused >= 150, "{taken} taken, {refused} refused");
        assert_eq!(flood, 0);
    }

    #[test]
    fn one_who_goes_on_far_above_the_limit_floods_within_seconds() {
        let [_, refused, flood] = send(&limits(), 610, 1_830, Instant::now());
        assert!(flood > 0, "{refused} refused");
    }

    #[test]
    fn one_who_comes_back_and_goes_on_floods_at_once() {
        let (limits, start) = (limits(), Instant::now());
        send(&limits, 1_000, 2_000, start);
        let [_, refused, flood] = send(&limits, 1_000, 400, start + Duration::from_secs(3));
        assert!(refused < 150 && flood > 0, "{refused} refused, {flood} as a flood");
    }

    #[test]
    fn one_who_stays_a_little_above_the_limit_never_floods() {
        let [_, refused, flood] = send(&limits(), 65, 65 * 600, Instant::now());
        assert!(refused > 1_000);
        assert_eq!(flood, 0);
    }

    #[test]
    fn those_who_wait_as_they_are_told_never_flood() {
        let (limits, start) = (limits(), Instant::now());
        let mut due: std::collections::BTreeSet<(Instant, u32)> = (0..500).map(|sender| (start, sender)).collect();
        while let Some((now, sender)) = due.pop_first() {
            match limits.take_event("alice", now) {
                Ok(()) => {}
                Err(Flood::TooEarly(wait)) => drop(due.insert((now + wait, sender))),
                Err(Flood::GoesOn(_)) => panic!("cut off after {:?}, {} wait", now - start, due.len()),
            }
        }
    }
}
