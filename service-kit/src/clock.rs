//! The wall clock, and deadlines between processes. Services read it here and hand it to their cores, which have none.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub use proto::rfc3339::write as rfc3339;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since the Unix epoch.
#[allow(clippy::disallowed_methods)]
pub fn unix_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

/// The deadline of a request that may take this long, for whoever answers it: a Unix time in milliseconds.
///
/// It holds although this process's wall clock may have jumped back.
pub fn deadline_in(patience: Duration) -> i64 {
    unix_ms().max(steady_ms()).saturating_add(ms(patience))
}

/// How long until a deadline that another process has set, a Unix time in milliseconds; zero when it has passed.
///
/// It has passed only when this process's steady clock says so too: after its wall clock has jumped ahead every request
/// would seem to come too late.
pub fn until(deadline_ms: i64) -> Duration {
    left(deadline_ms, [unix_ms(), steady_ms()])
}

fn left(deadline_ms: i64, clocks_ms: [i64; 2]) -> Duration {
    let earliest_ms = clocks_ms.into_iter().fold(i64::MAX, i64::min);
    Duration::from_millis(u64::try_from(deadline_ms.saturating_sub(earliest_ms)).unwrap_or(0))
}

/// The Unix time in milliseconds that it would be had nobody set the clock since this was called first.
pub(crate) fn steady_ms() -> i64 {
    static FIRST: LazyLock<(Instant, i64)> = LazyLock::new(|| (Instant::now(), unix_ms()));
    let (first, first_ms) = *FIRST;
    first_ms.saturating_add(ms(first.elapsed()))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The Unix time in milliseconds, rounded up, of an RFC 3339 time with any offset and any fraction; `None` if it is
/// none.
pub fn from_rfc3339(text: &str) -> Option<i64> {
    const NS_PER_MS: i128 = 1_000_000;
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from((time.unix_timestamp_nanos() + NS_PER_MS - 1).div_euclid(NS_PER_MS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_passed_only_when_both_clocks_say_so() {
        assert_eq!(left(1_000, [400, 400]), Duration::from_millis(600));
        assert_eq!(left(1_000, [1_000, 1_001]), Duration::ZERO);
        assert_eq!(left(1_000, [31_000, 400]), Duration::from_millis(600), "one was set ahead");
        assert_eq!(left(1_000, [400, 31_000]), Duration::from_millis(600), "one was set right since");
        assert_eq!(left(i64::MIN, [0, 0]), Duration::ZERO);
    }

    #[test]
    fn a_deadline_lies_ahead_by_what_the_request_may_take() {
        let patience = Duration::from_mins(1);
        let left = until(deadline_in(patience));
        assert!(left > patience / 2 && left <= patience, "{left:?}");
    }

    #[test]
    fn a_time_is_read_with_any_offset_and_fraction() {
        let times = [
            ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("2026-01-01T00:00:00.042Z", 1_767_225_600_042),
            ("2026-01-01T02:00:00+02:00", 1_767_225_600_000),
            ("2025-12-31T23:30:00.5-00:30", 1_767_225_600_500),
            ("2026-01-01T00:00:00.042000001Z", 1_767_225_600_043),
            ("1969-12-31T23:59:59.9999Z", 0),
        ];
        for (text, ms) in times {
            assert_eq!(from_rfc3339(text), Some(ms), "{text}");
        }
        for text in
            ["", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "1767225600", " 2026-01-01T00:00:00Z"]
        {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }
}
