//! A message is sent: acked after its COMMIT, told to both inboxes, listed.

use std::time::Duration;

use prost::Message as _;
use proto::chat::{
    CloseMatchRequest, Code, Draft, GetMatchRequest, ListMessagesRequest, SendRequest, Stored,
    list_messages_request::Position,
};
use service_kit::clock;

use crate::support::{Replica, draft, inbox, outcomes, request, send, seqs, shared, try_send};

#[tokio::test]
async fn a_message_is_acked_told_to_both_and_listed() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let made = replica.put("demo").await;
    assert_eq!(made.members, ["alice", "bob"]);
    let (mut alice, mut bob) = (inbox(&bus, "alice").await, inbox(&bus, "bob").await);

    let results = send(&bus, &request("demo", "alice", vec![draft("a", "hello"), draft("b", "there")])).await;
    assert_eq!(seqs(&results), [1, 2]);
    let (heard, also) = (alice.messages(2).await, bob.messages(2).await);
    assert_eq!(heard, also);
    let page = ListMessagesRequest {
        match_id: "demo".into(),
        position: None,
        limit: 50,
        user_id: None,
        ..ListMessagesRequest::default()
    };
    let listed = replica.rpc().list_messages(page).await.unwrap().into_inner();
    assert_eq!(listed.messages, heard);
    assert_eq!((heard[0].body.as_str(), heard[0].origin, heard[0].sender_id.as_str()), ("\"hello\"", Some(7), "alice"));

    let get = GetMatchRequest { match_id: "demo".into(), since_seq: Some(1), limit: 50, ..GetMatchRequest::default() };
    let got = replica.rpc().get_match(get).await.unwrap().into_inner();
    assert_eq!((got.r#match.unwrap().last_seq, got.messages, got.has_more), (2, heard[1..].to_vec(), false));
    assert!(replica.stop().await);
}

#[tokio::test]
async fn a_repeat_gets_the_original_seq_and_another_body_is_a_conflict() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let mut bob = inbox(&bus, "bob").await;
    let first = outcomes(&send(&bus, &request("demo", "alice", vec![draft("a", "hello")])).await);
    let first = first[0].clone().unwrap();

    let again = outcomes(&send(&bus, &request("demo", "alice", vec![draft("a", "hello"), draft("a", "other")])).await);
    let repeat = again[0].clone().unwrap();
    assert_eq!((repeat.seq, repeat.created_at_ms, repeat.duplicate), (1, first.created_at_ms, true));
    assert_eq!(again[1], Err(Code::IdempotencyConflict));
    // The same clientId of the other member is another message.
    assert_eq!(seqs(&send(&bus, &request("demo", "bob", vec![draft("a", "hello")])).await), [2]);
    assert_eq!(bob.messages(2).await.len(), 2);
    assert!(bob.rest().await.is_empty());
}

#[tokio::test]
async fn within_one_request_the_first_of_a_client_id_wins() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let drafts = vec![draft("a", "1"), draft("a", "1"), draft("a", "2"), draft("b", "3")];
    let results = outcomes(&send(&bus, &request("demo", "alice", drafts)).await);
    let seqs: Vec<_> =
        results.iter().map(|result| result.as_ref().map(|stored| (stored.seq, stored.duplicate))).collect();
    assert_eq!(seqs, [Ok((1, false)), Ok((1, true)), Err(&Code::IdempotencyConflict), Ok((2, false))]);
    assert_eq!(replica.get("demo").await.last_seq, 2);
}

#[tokio::test]
async fn a_stranger_is_told_the_same_as_about_a_missing_match() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let foreign = try_send(&bus, &request("demo", "mallory", vec![draft("a", "x")])).await.unwrap();
    let missing = try_send(&bus, &request("none", "mallory", vec![draft("a", "x")])).await.unwrap();
    assert_eq!(foreign.encode_to_vec(), missing.encode_to_vec());
    assert_eq!(outcomes(&foreign.results), [Err(Code::MatchNotFound)]);
    // It was not there, and then it is.
    replica.put_members("none", ["mallory", "bob"]).await.unwrap();
    assert_eq!(seqs(&send(&bus, &request("none", "mallory", vec![draft("a", "x")])).await), [1]);
}

#[tokio::test]
async fn a_closed_match_takes_nothing_but_still_knows_its_messages() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "hello")])).await;
    let close = CloseMatchRequest { match_id: "demo".into() };
    replica.rpc().close_match(close).await.unwrap();
    let results = outcomes(&send(&bus, &request("demo", "alice", vec![draft("a", "hello"), draft("b", "more")])).await);
    assert!(results[0].as_ref().unwrap().duplicate);
    assert_eq!(results[1], Err(Code::MatchClosed));
    let stranger = outcomes(&send(&bus, &request("demo", "mallory", vec![draft("a", "hello")])).await);
    assert_eq!(stranger, [Err(Code::MatchNotFound)]);
}

/// The text of a stored message with its id, as a page of the seed emits it.
fn as_emitted(stored: &Stored, sender: &str, client_id: &str, text: &str) -> Draft {
    let (id, at) = (format!("demo:{}", stored.seq), clock::rfc3339(stored.created_at_ms));
    let body = serde_json::json!({
        "id": id, "matchId": "demo", "seq": stored.seq, "senderId": sender, "message": text,
        "clientId": stored.client_id, "createdAt": at, "timestamp": at,
    });
    Draft { client_id: client_id.to_owned(), body: body.to_string(), saved_as: Some(id), reply_to: None }
}

#[tokio::test]
async fn an_object_that_rest_saved_is_not_stored_or_told_again() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let saved = SendRequest { by_rest: true, ..request("demo", "alice", vec![draft("rest-1", "hello")]) };
    let saved = outcomes(&send(&bus, &saved).await)[0].clone().unwrap();
    let emitted = outcomes(&send(&bus, &request("demo", "alice", vec![draft("emitted", "no rest")])).await);
    let emitted = emitted[0].clone().unwrap();
    let mut bob = inbox(&bus, "bob").await;

    let drafts = vec![
        as_emitted(&saved, "alice", "x", "hello"),
        as_emitted(&saved, "alice", "y", "hello, edited"),
        as_emitted(&emitted, "alice", "z", "no rest"),
        // A name from before names had to be ids.
        Draft { saved_as: Some("rest-1".into()), ..draft("w", "hello") },
    ];
    let results = outcomes(&send(&bus, &request("demo", "alice", drafts)).await);
    let seqs: Vec<_> =
        results.iter().map(|result| result.as_ref().map(|stored| (stored.seq, stored.duplicate))).collect();
    // What an event sent is not what REST saved.
    assert_eq!(seqs, [Ok((1, true)), Ok((3, false)), Ok((4, false)), Ok((5, false))]);
    assert_eq!(results[0].as_ref().unwrap().client_id, "rest-1");
    let others = as_emitted(&saved, "alice", "x", "hello");
    let others = outcomes(&send(&bus, &request("demo", "bob", vec![others])).await);
    assert_eq!(others[0].as_ref().unwrap().seq, 6);
    let heard: Vec<_> = bob.messages(4).await.iter().map(|message| message.seq).collect();
    assert_eq!(heard, [3, 4, 5, 6]);
}

#[tokio::test]
async fn what_one_sender_sends_too_fast_in_a_match_is_refused_whatever_else_happens() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.limited_replica(["1/40", "100000"]).await, stack.bus().await);
    for id in ["demo", "other"] {
        replica.put(id).await;
    }
    let drafts = |from: usize, count: usize| (from..from + count).map(|n| draft(&format!("c{n}"), "x")).collect();
    let codes = async |id: &str, sender: &str, drafts: Vec<Draft>| {
        let results = send(&bus, &request(id, sender, drafts)).await;
        outcomes(&results).into_iter().map(Result::err).collect::<Vec<_>>()
    };
    assert_eq!(codes("demo", "alice", drafts(0, 30)).await, [None; 30]);
    let later = codes("demo", "alice", drafts(30, 20)).await;
    // A burst of 40, and what comes back meanwhile; then nothing more, so that the order stays.
    let taken = later.iter().take_while(|code| code.is_none()).count();
    assert!((10..20).contains(&taken), "{later:?}");
    assert!(later[taken..].iter().all(|code| *code == Some(Code::RateLimited)), "{later:?}");
    assert_eq!(codes("demo", "bob", drafts(0, 1)).await, [None], "the other member has a limit of his own");
    assert_eq!(codes("other", "alice", drafts(0, 1)).await, [None], "so has another match");
    let large = draft("large", &"x".repeat(90_000));
    assert_eq!(
        codes("other", "alice", vec![large, draft("larger", &"x".repeat(20_000))]).await[1],
        Some(Code::RateLimited)
    );
    // A stranger is told the same as ever, however often.
    assert_eq!(codes("demo", "mallory", drafts(0, 60)).await, [Some(Code::MatchNotFound); 60]);
}

#[tokio::test]
async fn what_comes_after_its_deadline_is_neither_answered_nor_stored() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let late = SendRequest { deadline_ms: clock::unix_ms() - 1, ..request("demo", "alice", vec![draft("a", "late")]) };
    assert!(try_send(&bus, &late).await.is_err());
    assert_eq!(replica.get("demo").await.last_seq, 0);
}

#[tokio::test]
async fn what_waits_for_a_lock_until_its_deadline_is_not_stored() {
    let stack = shared().await.stack().await;
    let (replica, bus, mut sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    replica.put("demo").await;
    let transaction = sql.transaction().await.unwrap();
    transaction.execute("SELECT 1 FROM matches WHERE match_id = 'demo' FOR UPDATE", &[]).await.unwrap();
    let short =
        SendRequest { deadline_ms: clock::unix_ms() + 300, ..request("demo", "alice", vec![draft("a", "late")]) };
    let results = outcomes(&send(&bus, &short).await);
    assert_eq!(results, [Err(Code::Unavailable)]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    transaction.rollback().await.unwrap();
    // The lane goes on, and what it gave up has left no gap.
    assert_eq!(seqs(&send(&bus, &request("demo", "alice", vec![draft("b", "in time")])).await), [1]);
}

#[tokio::test]
async fn pages_go_both_ways() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let drafts = (1..=10).map(|n| draft(&format!("c{n}"), &n.to_string())).collect();
    send(&bus, &request("demo", "alice", drafts)).await;
    let mut rpc = replica.rpc();
    let mut page = async |position: Option<Position>, limit: i32| {
        let request = ListMessagesRequest {
            match_id: "demo".into(),
            position,
            limit,
            user_id: None,
            ..ListMessagesRequest::default()
        };
        let page = rpc.list_messages(request).await.unwrap().into_inner();
        (page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(page(None, 3).await, (vec![8, 9, 10], true));
    assert_eq!(page(Some(Position::Before(8)), 3).await, (vec![5, 6, 7], true));
    assert_eq!(page(Some(Position::Before(3)), 3).await, (vec![1, 2], false));
    assert_eq!(page(Some(Position::Before(4)), 3).await, (vec![1, 2, 3], false));
    assert_eq!(page(Some(Position::After(0)), 3).await, (vec![1, 2, 3], true));
    assert_eq!(page(Some(Position::After(7)), 3).await, (vec![8, 9, 10], false));
    assert_eq!(page(Some(Position::After(10)), 3).await, (vec![], false));
    assert_eq!(page(None, 0).await, (vec![10], true));
    assert_eq!(page(None, 1000).await.0.len(), 10);
}

/// What one body takes at most when a text is made canonical: 4,000 characters that JSON escapes.
fn heavy(client_id: String) -> Draft {
    Draft { client_id, body: format!("\"{}\"", "\\u0001".repeat(4_000)), ..Draft::default() }
}

/// Reads on from each page until there is no more; each is bounded.
async fn read_all(replica: &Replica, backwards: bool) -> Vec<i64> {
    let (mut rpc, mut seqs) = (replica.rpc(), Vec::new());
    let mut position = (!backwards).then_some(Position::After(0));
    loop {
        let request = ListMessagesRequest {
            match_id: "demo".into(),
            position,
            limit: 200,
            user_id: None,
            ..ListMessagesRequest::default()
        };
        let page = rpc.list_messages(request).await.unwrap().into_inner();
        assert!(page.messages.iter().map(|message| message.body.len()).sum::<usize>() <= 1_000_000);
        let of_page = page.messages.iter().map(|message| message.seq);
        if backwards {
            seqs.splice(0..0, of_page);
            position = seqs.first().copied().map(Position::Before);
        } else {
            seqs.extend(of_page);
            position = seqs.last().copied().map(Position::After);
        }
        if !page.has_more {
            return seqs;
        }
    }
}

#[tokio::test]
async fn a_page_of_the_longest_messages_is_cut_short_and_says_so() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    for n in 0..10 {
        let drafts = (0..20).map(|k| heavy(format!("{n}-{k}"))).collect();
        assert_eq!(send(&bus, &request("demo", "alice", drafts)).await.len(), 20);
    }
    let all: Vec<i64> = (1..=200).collect();
    assert_eq!(read_all(&replica, false).await, all);
    assert_eq!(read_all(&replica, true).await, all);
    let joined =
        GetMatchRequest { match_id: "demo".into(), since_seq: Some(150), limit: 200, ..GetMatchRequest::default() };
    let joined = replica.rpc().get_match(joined).await.unwrap().into_inner();
    assert_eq!((joined.messages[0].seq, joined.has_more), (151, true));
}
