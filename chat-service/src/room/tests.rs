//! A room under drafts of all kinds.

use proptest::prelude::*;

use super::*;

fn room(last_seq: i64, closed: bool) -> Room {
    Room::new(MatchId::new("demo").unwrap(), Head { last_seq, closed, now_ms: 1_000 })
}

fn author(name: &str) -> Author {
    Author { id: UserId::new(name).unwrap(), origin: Some(1), by_rest: false }
}

fn draft(client_id: &str, body: &str) -> Draft {
    Draft { client_id: ClientId::new(client_id).unwrap(), body: body.to_owned(), saved_as: None }
}

fn stored_row(seq: i64, sender: &str, client_id: &str, by_rest: bool) -> Row {
    let message = Message {
        match_id: "demo".to_owned(),
        seq,
        sender_id: sender.to_owned(),
        client_id: client_id.to_owned(),
        origin: None,
        body: "stored".to_owned(),
        created_at_ms: 10,
    };
    Row { message, by_rest }
}

fn is_duplicate_of(result: &SendResult, seq: i64) -> bool {
    matches!(&result.result, Some(send_result::Result::Stored(stored)) if stored.duplicate && stored.seq == seq)
}

#[test]
fn a_repeat_is_told_before_a_closed_match_refuses() {
    let mut room = room(5, true);
    room.remember(stored_row(3, "alice", "a", false));
    assert!(is_duplicate_of(&room.post(&author("alice"), &draft("a", "stored")), 3));
    assert_eq!(room.post(&author("alice"), &draft("a", "other")), failure(Code::IdempotencyConflict));
    assert_eq!(room.post(&author("alice"), &draft("b", "new")), failure(Code::MatchClosed));
    let (rows, repeated) = room.into_rows();
    assert!(rows.is_empty());
    assert_eq!(repeated.iter().map(|message| message.seq).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_name_means_only_what_its_sender_saved_by_rest() {
    let named = |name: &str| Draft { saved_as: Some(name.to_owned()), ..draft("x", "object") };
    for (sender, by_rest, name, names_it) in [
        ("alice", true, "a", true),
        ("alice", true, "demo:3", true),
        ("alice", true, "demo:03", false),
        ("alice", true, "other:3", false),
        ("alice", true, "demo:4", false),
        ("alice", false, "a", false),
        ("alice", false, "demo:3", false),
        ("bob", true, "a", false),
        ("bob", true, "demo:3", false),
    ] {
        let mut room = room(5, false);
        room.remember(stored_row(3, sender, "a", by_rest));
        let result = room.post(&author("alice"), &named(name));
        assert_eq!(is_duplicate_of(&result, 3), names_it, "{sender} {by_rest} {name}");
    }
}

#[test]
fn a_seq_is_named_only_in_its_canonical_form() {
    let id = MatchId::new("demo").unwrap();
    for (name, seq) in [("demo:1", Some(1)), ("demo:12", Some(12))] {
        assert_eq!(seq_named_by(name, &id), seq);
    }
    for name in
        ["demo:0", "demo:-1", "demo:+1", "demo:01", "demo:", "demo1", "dem:1", "demo:1 ", "demo:99999999999999999999"]
    {
        assert_eq!(seq_named_by(name, &id), None, "{name}");
    }
}

proptest! {
    /// Whatever comes in whatever order: seqs are gapless, the first body of a clientId wins, and repeats add nothing.
    #[test]
    fn the_first_of_each_client_id_wins_and_seqs_have_no_gap(
        drafts in proptest::collection::vec((0..2_usize, 0..6_u8, 0..3_u8), 0..40),
        last_seq in 0..1_000_i64,
    ) {
        let mut room = room(last_seq, false);
        let mut first: HashMap<(usize, u8), (u8, i64)> = HashMap::new();
        for (sender, client_id, body) in drafts {
            let by = author(["alice", "bob"][sender]);
            let result = room.post(&by, &draft(&client_id.to_string(), &body.to_string()));
            let next = last_seq + 1 + i64::try_from(first.len()).unwrap();
            match first.get(&(sender, client_id)) {
                None => {
                    let is_new = matches!(&result.result, Some(send_result::Result::Stored(s)) if !s.duplicate && s.seq == next);
                    prop_assert!(is_new);
                    first.insert((sender, client_id), (body, next));
                }
                Some((known, seq)) if *known == body => prop_assert!(is_duplicate_of(&result, *seq)),
                Some(_) => prop_assert_eq!(result, failure(Code::IdempotencyConflict)),
            }
        }
        let (rows, _) = room.into_rows();
        let seqs: Vec<i64> = rows.iter().map(|row| row.message.seq).collect();
        prop_assert_eq!(seqs, (last_seq + 1..).take(first.len()).collect::<Vec<_>>());
    }
}
