//! Buckets with made-up clocks.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use service_kit::rate::Bucket;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

#[test]
fn keys_do_not_share_a_bucket() {
    let (limiter, now) = (Limiter::new(rate("1/1")), Instant::now());
    assert_eq!(limiter.take("alice", now), Ok(()));
    assert!(limiter.take("alice", now).is_err());
    assert_eq!(limiter.take("bob", now), Ok(()));
}

#[test]
fn idle_keys_cost_no_memory() {
    let (limiter, start) = (Limiter::new(rate("10/20")), Instant::now());
    for i in 0..100_000_u32 {
        assert_eq!(limiter.take(&i.to_string(), start + Duration::from_millis(u64::from(i))), Ok(()));
        assert!(limiter.len() <= 1025, "{} buckets", limiter.len());
    }
}

#[test]
fn a_drained_key_is_not_forgotten_by_a_sweep() {
    let (limiter, now) = (Limiter::new(rate("1/2")), Instant::now());
    for _ in 0..2 {
        assert_eq!(limiter.take("greedy", now), Ok(()));
    }
    for i in 0..5_000 {
        let _ = limiter.take(&i.to_string(), now);
    }
    assert!(limiter.take("greedy", now).is_err());
}

#[test]
fn those_who_are_refused_together_come_back_one_after_the_other() {
    let (limiter, start) = (Limiter::new(rate("20/4")), Instant::now());
    let take = |now| limiter.take("alice", now).map_err(|wait| now + wait);
    let turns: Vec<_> = (0..10).filter_map(|_| take(start).err()).collect();
    let after = |tokens: u32| start + Duration::from_millis(50) * tokens;
    assert_eq!(turns, [1, 2, 3, 4, 4, 4].map(after), "as far as a burst reaches");
    for turn in &turns[..4] {
        assert_eq!(take(*turn), Ok(()));
    }
    assert_eq!(take(turns[4]), Err(after(5)), "turns that have passed count no more");
}

#[test]
fn who_comes_back_when_told_is_hardly_refused_again() {
    let (limiter, start) = (Limiter::new(rate("20/40")), Instant::now());
    let mut due: BTreeSet<(Instant, u32)> = (0..100).map(|sender| (start, sender)).collect();
    let (mut refused, mut end) = (0, start);
    while let Some((now, sender)) = due.pop_first() {
        end = now;
        if let Err(wait) = limiter.take("alice", now) {
            refused += 1;
            due.insert((now + wait, sender));
        }
    }
    assert_eq!(end - start, Duration::from_secs(3), "60 of 100 waited for a token each");
    assert!(refused < 3 * 60, "{refused} refusals");
}

proptest! {
    #[test]
    fn no_pattern_of_tries_beats_burst_plus_rate(
        (per_second, burst) in (1_u32..100, 1_u32..100),
        gaps_us in prop::collection::vec(0_u64..100_000, 1..500),
    ) {
        let rate = rate(&format!("{per_second}/{burst}"));
        let start = Instant::now();
        let (mut bucket, mut now, mut taken) = (Bucket::full(start), start, 0_u128);
        for gap_us in gaps_us {
            now += Duration::from_micros(gap_us);
            let take = |bucket: &mut Bucket, now| bucket.take(rate.interval(), rate.fill(), now);
            match take(&mut bucket, now) {
                Ok(()) => taken += 1,
                Err(wait) => prop_assert_eq!(take(&mut bucket.clone(), now + wait), Ok(())),
            }
            let elapsed = (now - start).as_nanos();
            prop_assert!(taken <= u128::from(burst) + elapsed / rate.interval().as_nanos());
        }
    }
}
