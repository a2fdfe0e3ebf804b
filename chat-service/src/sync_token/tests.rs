//! Whose tokens are believed, and what they ask for.

use super::*;

const KEY: TokenKey<'static> = TokenKey { secret: b"a secret", epoch: "0a1b2c3d", user: "alice" };

fn snapshot(oldest: Transaction, next: Transaction) -> Snapshot {
    Snapshot { oldest, next, timeline: 1 }
}

fn place(match_id: &str) -> Place {
    Place { active_at_ms: 1_767_225_600_042, match_id: match_id.to_owned() }
}

/// The token of a round that has told everything up to this snapshot.
fn token(snapshot: Snapshot) -> String {
    KEY.seal(&Round::of_everything(snapshot).behind(None, 7))
}

#[test]
fn a_token_asks_for_what_its_snapshot_may_not_have_seen() {
    let round = KEY.resume(&token(snapshot(90, 100)), snapshot(120, 130)).unwrap();
    assert_eq!((round.since(snapshot(120, 130)), round.next_since, round.blocks), (Some(90), 120, Some(7)));
}

#[test]
fn the_pages_of_a_round_end_where_it_began() {
    let first = Round::of_everything(snapshot(90, 100));
    let second = KEY.resume(&KEY.seal(&first.behind(Some(place("m")), 7)), snapshot(120, 130)).unwrap();
    assert_eq!((second.since, second.next_since, &second.behind), (None, 90, &Some(place("m"))));
    let next = KEY.resume(&KEY.seal(&second.behind(None, 7)), snapshot(140, 150)).unwrap();
    assert_eq!((next.since, next.next_since, next.behind), (Some(90), 140, None));
}

#[test]
fn a_token_of_another_user_key_or_history_and_a_forged_one_are_none() {
    let (token, now) = (token(snapshot(90, 100)), snapshot(120, 130));
    assert!(KEY.resume(&token, now).is_some());
    for other in [
        TokenKey { user: "bob", ..KEY },
        TokenKey { epoch: "00000000", ..KEY },
        TokenKey { secret: b"another", ..KEY },
        TokenKey { user: "alic", epoch: "e0a1b2c3d", ..KEY },
    ] {
        assert_eq!(other.resume(&token, now), None, "{other:?}");
    }
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(KEY.resume(str::from_utf8(&forged).unwrap(), now), None, "{at}");
    }
    for other in ["", "AA", "no token!", &"A".repeat(MAX_CHARS + 1), &token[..token.len() - 2]] {
        assert_eq!(KEY.resume(other, now), None, "{other}");
    }
}

#[test]
fn a_token_from_the_future_is_none() {
    assert_eq!(KEY.resume(&token(snapshot(200, 200)), snapshot(120, 130)), None);
}

#[test]
fn after_a_promotion_what_may_be_numbered_again_is_told_again() {
    let promoted = Snapshot { timeline: 2, ..snapshot(1_000_100, 1_000_100) };
    let round = KEY.resume(&token(snapshot(1_000_000, 1_000_000)), promoted).unwrap();
    assert_eq!(round.since(promoted), Some(1_000_000 - 65_536));
    let early = KEY.resume(&token(snapshot(100, 100)), Snapshot { timeline: 2, ..snapshot(110, 110) }).unwrap();
    assert_eq!(early.since, Some(1));
}

#[test]
fn what_rows_cannot_tell_apart_any_more_is_all_told() {
    let (then, billions) = (snapshot(100, 100), snapshot(100 + (1 << 31), 100 + (1 << 31)));
    let round = KEY.resume(&token(then), billions).unwrap();
    assert_eq!((round.since(billions), round.is_of_everything()), (None, false));
    let wrapped = snapshot((1 << 32) + 5, (1 << 32) + 9);
    let round = KEY.resume(&token(wrapped), wrapped).unwrap();
    assert_eq!(round.since(wrapped), Some(5));
}
