//! Batches of many matches, the fast way and the locked one.

use proptest::prelude::*;
use proto::{
    ClientId, UserId,
    chat::{Code, SendResult, send_result},
};

use super::*;
use crate::{
    command::{CloseMatch, RecordMilestone, SendMessages},
    room::{Author, Draft},
    send_result::failure,
};

fn id(name: &str) -> MatchId {
    MatchId::new(name).unwrap()
}

fn request(match_id: &str, sender: &str, drafts: &[(&str, &str)]) -> SendMessages {
    let draft = |(client_id, body): &(&str, &str)| Draft {
        client_id: ClientId::new(*client_id).unwrap(),
        body: (*body).to_owned(),
        names: Vec::new(),
        reply_to: None,
    };
    SendMessages {
        match_id: id(match_id),
        author: Author { id: UserId::new(sender).unwrap(), origin: None, by_rest: false },
        drafts: drafts.iter().map(draft).collect(),
    }
}

fn audience() -> Audience {
    let members = ["alice", "bob", "u0", "u1"].map(|name| UserId::new(name).unwrap());
    Audience::new(members.to_vec(), 0)
}

fn rooms(heads: impl IntoIterator<Item = (MatchId, i64)>) -> BTreeMap<MatchId, Room> {
    let room = |(id, last_seq): (MatchId, i64)| {
        let head = Head { last_seq, rev: 0, closed: false, now_ms: 5, members_rev: 0 };
        (id.clone(), Room::new(id, head, audience()))
    };
    heads.into_iter().map(room).collect()
}

#[test]
fn a_match_without_a_room_does_not_exist() {
    let request = request("gone", "alice", &[("a", "1"), ("b", "2")]);
    let decision = decide(&[&request], BTreeMap::new());
    assert_eq!(decision.outcomes, [Outcome::Sent(vec![failure(Code::MatchNotFound); 2])]);
    assert_eq!(decision.writes, Writes::default());
}

#[test]
fn what_comes_behind_a_closing_in_the_same_batch_is_refused_and_a_milestone_is_not() {
    let (before, after) = (request("demo", "alice", &[("a", "1")]), request("demo", "bob", &[("b", "2")]));
    let close = CloseMatch { match_id: id("demo") };
    let (milestone_id, unlocks) = ("m".to_owned(), Vec::new());
    let milestone = RecordMilestone { match_id: id("demo"), milestone_id, threshold: 11, unlocks, of_groups: false };
    let commands: [&dyn Command; 4] = [&before, &close, &after, &milestone];
    assert_eq!(advances(&commands), None, "all of it goes under locks");
    let decision = decide(&commands, rooms([(id("demo"), 10)]));
    assert_eq!(decision.outcomes[2], Outcome::Sent(vec![failure(Code::MatchClosed)]));
    let changes: Vec<_> =
        decision.writes.changes.iter().map(|logged| (logged.change.rev, logged.change.after_seq)).collect();
    assert_eq!(changes, [(1, 11), (2, 11)]);
    let head = Head { last_seq: 11, rev: 2, closed: true, now_ms: 5, members_rev: 0 };
    assert_eq!(decision.heads, BTreeMap::from([(id("demo"), head)]));
}

type Sends = Vec<(u8, u8, Vec<(u8, u8)>)>;

fn any_sends() -> impl Strategy<Value = Sends> {
    let drafts = proptest::collection::vec((0..5_u8, 0..2_u8), 0..5);
    proptest::collection::vec((0..3_u8, 0..2_u8, drafts), 0..12)
}

fn requests(sends: &Sends) -> Vec<SendMessages> {
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
        let requests: Vec<&dyn Command> = requests.iter().map(|send| send as _).collect();
        let advances = advances(&requests).unwrap();
        let decision = decide(&requests, rooms(advances.keys().map(|id| (id.clone(), 10))));
        for (id, count) in &advances {
            let rows = decision.writes.rows.iter().filter(|row| row.message.match_id == id.as_str()).count();
            prop_assert_eq!(i64::try_from(rows).unwrap(), *count);
        }
    }

    /// Sent again after it was stored, a batch stores nothing and tells every draft the seq it has.
    #[test]
    fn a_batch_that_is_repeated_after_its_commit_gets_the_same_seqs(sends in any_sends()) {
        let requests = requests(&sends);
        let requests: Vec<&dyn Command> = requests.iter().map(|send| send as _).collect();
        let ids: Vec<MatchId> = matches(&requests).into_iter().cloned().collect();
        let first = decide(&requests, rooms(ids.iter().map(|id| (id.clone(), 0))));

        let mut after = rooms(ids.iter().map(|id| (id.clone(), 100)));
        for row in &first.writes.rows {
            after.get_mut(row.message.match_id.as_str()).unwrap().remember(row.clone());
        }
        let second = decide(&requests, after);
        prop_assert_eq!(&second.writes, &Writes::default());
        let seq = |result: &SendResult| match result.result.as_ref().unwrap() {
            send_result::Result::Stored(stored) => Some(stored.seq),
            send_result::Result::Failure(_) => None,
        };
        let seqs = |decision: &Decision| {
            let results = decision.outcomes.iter().cloned().flat_map(Outcome::into_results);
            results.map(|result| seq(&result)).collect::<Vec<_>>()
        };
        prop_assert_eq!(seqs(&first), seqs(&second));
    }
}
