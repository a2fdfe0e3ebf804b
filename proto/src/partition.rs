//! Which partition a match belongs to.

use crate::MatchId;

/// The number of partitions. It never changes: subjects and streams are named by it.
pub const PARTITIONS: u8 = 64;

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The 64-bit FNV-1a hash (draft-eastlake-fnv) of `bytes`.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The partition of a match, in `0..PARTITIONS`.
#[must_use]
pub fn of(id: &MatchId) -> u8 {
    let [low, ..] = (fnv1a(id.as_str().as_bytes()) % u64::from(PARTITIONS)).to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_fnv_1a() {
        // Test vectors of the FNV reference code.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn partitions_are_frozen_for_ever() {
        let of = |id: &str| super::of(&MatchId::new(id).unwrap());
        assert_eq!([of("demo"), of("a"), of("foobar"), of("match-1"), of("match-2")], FROZEN);
    }

    const FROZEN: [u8; 5] = [22, 12, 40, 48, 9];
}
