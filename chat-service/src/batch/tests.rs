//! Batches of many matches, the fast way and the locked one.

use proptest::prelude::*;
use proto::{ClientId, UserId, chat::send_result};

use super::*;
use crate::room::Head;

fn id(name: &str) -> MatchId {
    MatchId::new(name).unwrap()
}

fn request(match_id: &str, sender: &str, drafts: &[(&str, &str)]) -> Request {
    let draft = |(client_id, body): &(&str, &str)| Draft {
        client_id: ClientId::new(*client_id).unwrap(),
        body: (*body).to_owned(),
        names: Vec::new(),
    };
    Request {
        match_id: id(match_id),
        author: Author { id: UserId::new(sender).unwrap(), origin: None, by_rest: false },
        drafts: drafts.iter().map(draft).collect(),
    }
}

fn rooms(heads: impl IntoIterator<Item = (MatchId, i64)>) -> BTreeMap<MatchId, Room> {
    let room = |(id, last_seq): (MatchId, i64)| {
        let head = Head { last_seq, closed: false, now_ms: 5 };
        (id.clone(), Room::new(id, head))
    };
    heads.into_iter().map(room).collect()
}

fn message(match_id: &str, seq: i64, body: &str) -> Message {
    Message { match_id: match_id.to_owned(), seq, body: body.to_owned(), ..Message::default() }
}

#[test]
fn a_match_without_a_room_does_not_exist() {
    let request = request("gone", "alice", &[("a", "1"), ("b", "2")]);
    let decision = decide(&[&request], BTreeMap::new());
    assert_eq!(decision.results, [vec![failure(Code::MatchNotFound); 2]]);
    assert!(decision.rows.is_empty());
}

#[test]
fn a_draft_that_names_a_message_needs_locks_and_is_looked_up_by_seq_too() {
    let mut named = request("demo", "alice", &[("a", "1"), ("b", "2")]);
    assert_eq!(advances(&[&named]).unwrap().into_values().collect::<Vec<_>>(), [2]);
    named.drafts[1].names = vec![7, 9];
    assert_eq!(advances(&[&named]), None);
    let keys = keys(&[&named]);
    assert_eq!(keys.by_client_id, BTreeSet::from([("demo", "alice", "a"), ("demo", "alice", "b")]));
    assert_eq!(keys.by_seq, BTreeSet::from([("demo", 7), ("demo", 9)]));
}

#[test]
fn a_run_ends_at_a_gap_at_another_match_and_at_what_nats_can_carry() {
    let large = "x".repeat(300 * 1024);
    let messages = vec![
        message("b", 1, ""),
        message("a", 5, ""),
        message("a", 3, ""),
        message("a", 2, ""),
        message("a", 3, ""),
        message("c", 1, &large),
        message("c", 2, &large),
        message("c", 3, ""),
    ];
    let runs: Vec<Vec<_>> =
        runs(messages).iter().map(|run| run.iter().map(|m| (m.match_id.clone(), m.seq)).collect()).collect();
    let expected: [&[(&str, i64)]; 5] =
        [&[("a", 2), ("a", 3)], &[("a", 5)], &[("b", 1)], &[("c", 1)], &[("c", 2), ("c", 3)]];
    let expected = expected.map(|run| run.iter().map(|(id, seq)| ((*id).to_owned(), *seq)).collect::<Vec<_>>());
    assert_eq!(runs, expected);
}

type Sends = Vec<(u8, u8, Vec<(u8, u8)>)>;

fn any_sends() -> impl Strategy<Value = Sends> {
    let drafts = proptest::collection::vec((0..5_u8, 0..2_u8), 0..5);
    proptest::collection::vec((0..3_u8, 0..2_u8, drafts), 0..12)
}

fn requests(sends: &Sends) -> Vec<Request> {
    let to_request = |(match_id, sender, drafts): &(u8, u8, Vec<(u8, u8)>)| {
        let drafts: Vec<_> = drafts.iter().map(|(client_id, body)| (client_id.to_string(), body.to_string())).collect();
        let borrowed: Vec<_> = drafts.iter().map(|(client_id, body)| (client_id.as_str(), body.as_str())).collect();
        request(&format!("m{match_id}"), &format!("u{sender}"), &borrowed)
    };
    sends.iter().map(to_request).collect()
}

proptest! {
    /// The fast way moves the heads before it knows the rows: both must come to the same number.
    #[test]
    fn as_many_rows_are_inserted_as_the_heads_were_moved(sends in any_sends()) {
        let requests = requests(&sends);
        let requests: Vec<&Request> = requests.iter().collect();
        let advances = advances(&requests).unwrap();
        let decision = decide(&requests, rooms(advances.keys().map(|id| (id.clone(), 10))));
        for (id, count) in &advances {
            let rows = decision.rows.iter().filter(|row| row.message.match_id == id.as_str()).count();
            prop_assert_eq!(i64::try_from(rows).unwrap(), *count);
        }
    }

    /// Sent again after it was stored, a batch stores nothing and tells every draft the seq it has.
    #[test]
    fn a_batch_that_is_repeated_after_its_commit_gets_the_same_seqs(sends in any_sends()) {
        let requests = requests(&sends);
        let requests: Vec<&Request> = requests.iter().collect();
        let ids: Vec<MatchId> = matches(requests.iter().copied()).into_iter().cloned().collect();
        let first = decide(&requests, rooms(ids.iter().map(|id| (id.clone(), 0))));

        let mut after = rooms(ids.iter().map(|id| (id.clone(), 100)));
        for row in &first.rows {
            after.get_mut(row.message.match_id.as_str()).unwrap().remember(row.clone());
        }
        let second = decide(&requests, after);
        prop_assert!(second.rows.is_empty());
        let seq = |result: &SendResult| match result.result.as_ref().unwrap() {
            send_result::Result::Stored(stored) => Some(stored.seq),
            send_result::Result::Failure(_) => None,
        };
        let seqs = |decision: &Decision| decision.results.iter().flatten().map(seq).collect::<Vec<_>>();
        prop_assert_eq!(seqs(&first), seqs(&second));
    }

    #[test]
    fn runs_hold_every_message_once_in_order(seqs in proptest::collection::vec((0..3_u8, 1..30_i64), 0..60)) {
        let given: BTreeSet<(String, i64)> = seqs.iter().map(|(id, seq)| (format!("m{id}"), *seq)).collect();
        let runs = runs(seqs.iter().map(|(id, seq)| message(&format!("m{id}"), *seq, "")).collect());
        for run in &runs {
            prop_assert!(run.windows(2).all(|pair| follows(&pair[1], &pair[0])));
        }
        let told: Vec<_> = runs.into_iter().flatten().map(|message| (message.match_id, message.seq)).collect();
        prop_assert_eq!(told, given.into_iter().collect::<Vec<_>>());
    }
}
