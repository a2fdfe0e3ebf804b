//! What the core is told of the world with every input, as it has neither a clock nor chance of its own.

use std::time::Instant;

/// The moment of an input.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The steady time.
    pub now: Instant,
    /// The wall clock's time, as Unix time in milliseconds.
    pub unix_ms: i64,
    /// Bits by chance.
    pub random: u64,
}

impl Moment {
    /// The `number`th of the numbers by chance that this moment gives (splitmix64: Steele, Lea and Flood, 2014).
    pub fn chance(&self, number: u64) -> u64 {
        let mut bits = self.random.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A part of 1 by chance.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn part(&self) -> f64 {
        (self.chance(0) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_gives_many_numbers_and_the_same_ones_again() {
        let moment = Moment { now: Instant::now(), unix_ms: 0, random: 7 };
        let numbers: std::collections::BTreeSet<u64> = (0..1_000).map(|number| moment.chance(number)).collect();
        assert_eq!(numbers.len(), 1_000);
        assert!(numbers.contains(&moment.chance(3)));
        assert!((0.0..1.0).contains(&moment.part()));
    }
}
