//! How long the crowd had to wait, and when: what a fault is charged with.

use std::time::Duration;

/// Times of waits are kept this exactly.
const SLOT: Duration = Duration::from_millis(20);

/// The waits of a run. All times are since the crowd's origin.
#[derive(Debug, Clone, Default)]
pub struct Stalls {
    /// When anybody had an ack.
    pub beats: Beats,
    /// How long messages waited for their ack, from their first emit on.
    pub acks: Peaks,
    /// How long clients were away, from the end of a connection to the next one.
    pub returns: Peaks,
    /// How long joined clients waited for a milestone, from when its message was known to be stored.
    pub milestones: Peaks,
}

impl Stalls {
    /// A message was acked at `now`, that was sent first at `since`.
    pub fn acked(&mut self, since: Duration, now: Duration) {
        self.beats.beat(now);
        self.acks.add(since, now);
    }
}

/// In which slots of time something happened: one bit each, 22 KB an hour.
#[derive(Debug, Clone, Default)]
pub struct Beats(Vec<u64>);

impl Beats {
    fn beat(&mut self, at: Duration) {
        let slot = slot(at);
        if self.0.len() <= slot / 64 {
            self.0.resize(slot / 64 + 1, 0);
        }
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    /// The longest time between two instants in which nobody had an ack.
    pub fn longest_pause(&self, from: Duration, to: Duration) -> Duration {
        let (mut longest, mut pause) = (0_u32, 0);
        // Before the first one nobody waits: the crowd is still coming in.
        let first =
            self.0.iter().position(|bits| *bits != 0).map_or(0, |at| at * 64 + self.0[at].trailing_zeros() as usize);
        for slot in slot(from).max(first)..slot(to) {
            let beats = self.0.get(slot / 64).is_some_and(|bits| bits >> (slot % 64) & 1 == 1);
            pause = if beats { 0 } else { pause + 1 };
            longest = longest.max(pause);
        }
        SLOT * longest
    }
}

/// The longest wait that ended in each slot of time, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Peaks(Vec<u32>);

impl Peaks {
    /// A wait that began at `since` is over.
    pub fn add(&mut self, since: Duration, now: Duration) {
        let slot = slot(now);
        if self.0.len() <= slot {
            self.0.resize(slot + 1, 0);
        }
        let waited = u32::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u32::MAX);
        self.0[slot] = self.0[slot].max(waited);
    }

    /// The longest part of a wait that lies between two instants.
    pub fn longest(&self, from: Duration, to: Duration) -> Duration {
        let ended = self.0.iter().enumerate().skip(slot(from));
        let part = ended.map(|(slot, ms)| {
            let now = SLOT * u32::try_from(slot).unwrap_or(u32::MAX);
            let since = now.saturating_sub(Duration::from_millis(u64::from(*ms)));
            now.min(to).saturating_sub(since.max(from))
        });
        part.max().unwrap_or_default()
    }
}

fn slot(at: Duration) -> usize {
    usize::try_from(at.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_silence_is_the_longest_pause_between_two_acks() {
        let mut beats = Beats::default();
        for at in [0, 100, 900, 1_000] {
            beats.beat(ms(at));
        }
        assert_eq!(beats.longest_pause(ms(0), ms(1_000)), ms(780));
        assert_eq!(beats.longest_pause(ms(0), ms(400)), ms(280), "what lies outside is not charged");
        assert_eq!(beats.longest_pause(ms(1_020), ms(1_500)), ms(480), "a silence that has not ended counts too");
    }

    #[test]
    fn who_has_not_begun_does_not_wait() {
        let mut beats = Beats::default();
        beats.beat(ms(4_000));
        assert_eq!(beats.longest_pause(ms(0), ms(5_000)), ms(980));
    }

    #[test]
    fn the_slowest_ack_counts_from_the_first_emit() {
        let mut acks = Peaks::default();
        acks.add(ms(100), ms(130));
        acks.add(ms(100), ms(2_600));
        assert_eq!(acks.longest(ms(0), ms(9_000)), ms(2_500));
        assert_eq!(acks.longest(ms(0), ms(90)), ms(0));
        assert_eq!(acks.longest(ms(0), ms(2_000)), ms(1_900), "what lies outside is not charged");
        assert_eq!(acks.longest(ms(2_000), ms(9_000)), ms(600));
        assert_eq!(acks.longest(ms(9_000), ms(9_500)), ms(0));
    }
}
