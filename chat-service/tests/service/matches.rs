//! Matches over gRPC: made, closed, listed; heads; what is malformed.

use futures_util::future::join_all;
use proto::{
    chat::{CloseMatchRequest, GetMatchRequest, HeadsRequest, ListMatchesRequest, PutMatchRequest, RevokeRequest},
    inbox::chat_event::Event,
};
use tonic::Code;

use crate::support::{draft, eventually, inbox, request, send, shared};

fn heads_of(ids: &[&str]) -> HeadsRequest {
    HeadsRequest { match_ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..HeadsRequest::default() }
}

fn code<T>(result: Result<T, tonic::Status>) -> Code {
    result.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_is_made_once_and_never_with_other_members() {
    let stack = shared().await.stack().await;
    let (one, two) = (stack.replica().await, stack.replica().await);
    let put = |members: [&str; 2]| PutMatchRequest {
        match_id: "demo".into(),
        members: members.map(str::to_owned).into(),
        ..PutMatchRequest::default()
    };
    let both = [["bob", "alice"], ["alice", "bob"]];
    let made = join_all((0..10).map(|n| {
        let mut rpc = if n % 2 == 0 { one.rpc() } else { two.rpc() };
        async move { rpc.put_match(put(both[n % 2])).await.unwrap().into_inner() }
    }))
    .await;
    assert_eq!(made.iter().filter(|made| made.created).count(), 1);
    assert!(made.iter().all(|made| made.r#match == made_by(made.r#match.clone())));
    assert_eq!(code(one.put_members("demo", ["alice", "carol"]).await), Code::FailedPrecondition);
    one.rpc().close_match(CloseMatchRequest { match_id: "demo".into() }).await.unwrap();
    assert_eq!(code(one.put_members("demo", ["alice", "bob"]).await), Code::FailedPrecondition);
}

fn made_by(made: Option<proto::chat::Match>) -> Option<proto::chat::Match> {
    let members = vec!["alice".to_owned(), "bob".to_owned()];
    made.map(|made| proto::chat::Match { members, last_seq: 0, closed_at_ms: None, milestones: vec![], ..made })
}

#[tokio::test]
async fn closing_tells_both_members_and_may_be_repeated() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let (mut alice, mut bob) = (inbox(&bus, "alice").await, inbox(&bus, "bob").await);
    let close = CloseMatchRequest { match_id: "demo".into() };
    let first = replica.rpc().close_match(close.clone()).await.unwrap().into_inner();
    let again = replica.rpc().close_match(close).await.unwrap().into_inner();
    assert_eq!(first, again);
    for inbox in [&mut alice, &mut bob] {
        assert!(matches!(inbox.next().await, Event::MatchClosed(closed) if closed.match_id == "demo"));
    }
    assert_eq!(replica.get("demo").await.closed_at_ms, Some(first.closed_at_ms));
}

#[tokio::test]
async fn a_users_matches_are_listed_page_by_page() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    for id in ["a", "B", "c_", "d-1"] {
        replica.put(id).await;
    }
    replica.put_members("other", ["bob", "carol"]).await.unwrap();
    let page = async |after: Option<&str>, limit: i32| {
        let request = ListMatchesRequest { user_id: "alice".into(), after: after.map(str::to_owned), limit };
        let page = replica.rpc().list_matches(request).await.unwrap().into_inner();
        (page.matches.into_iter().map(|found| found.match_id).collect::<Vec<_>>(), page.has_more)
    };
    // By bytes: capitals come first.
    assert_eq!(page(None, 2).await, (vec!["B".to_owned(), "a".to_owned()], true));
    assert_eq!(page(Some("a"), 2).await, (vec!["c_".to_owned(), "d-1".to_owned()], false));
    assert_eq!(page(Some("d-1"), 2).await, (vec![], false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_those_of_known_matches_for_many_callers_at_once() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    for id in ["a", "b"] {
        replica.put(id).await;
    }
    send(&bus, &request("a", "alice", vec![draft("1", "x"), draft("2", "y")])).await;
    replica.rpc().close_match(CloseMatchRequest { match_id: "b".into() }).await.unwrap();
    let rpc = replica.rpc();
    let calls = join_all((0..100).map(|n| {
        let mut rpc = rpc.clone();
        let ids = if n % 2 == 0 { vec!["a", "none", "b"] } else { vec!["b"] };
        async move { rpc.heads(heads_of(&ids)).await }
    }))
    .await;
    for (n, call) in calls.into_iter().enumerate() {
        let heads: Vec<_> = call.unwrap().into_inner().heads;
        let heads: Vec<_> = heads.iter().map(|head| (head.match_id.as_str(), head.last_seq, head.closed)).collect();
        let expected = [("a", 2, false), ("b", 0, true)];
        assert_eq!(heads, expected[n % 2..]);
    }
    let many = (0..1_000).map(|n| format!("m{n}")).chain(["a".to_owned()]).collect::<Vec<_>>();
    let heads = async |ids: &[String]| {
        let request = HeadsRequest { match_ids: ids.to_vec(), ..HeadsRequest::default() };
        replica.rpc().heads(request).await
    };
    assert_eq!(heads(&many[1..]).await.unwrap().into_inner().heads.len(), 1);
    assert_eq!(code(heads(&many).await), Code::InvalidArgument);
    let with_members = HeadsRequest { with_members: true, ..heads_of(&["a"]) };
    let mut members = replica.rpc().heads(with_members).await.unwrap().into_inner().heads.remove(0).members;
    members.sort();
    assert_eq!(members, ["alice", "bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_heads_that_come_while_a_query_runs_share_the_next() {
    let stack = shared().await.stack().await.patient();
    let (replica, mut sql, watch) = (stack.replica().await, stack.sql().await, stack.sql().await);
    replica.put("demo").await;
    let locked = sql.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE matches").await.unwrap();
    let rpc = replica.rpc();
    let calls = join_all((0..100).map(|_| {
        let mut rpc = rpc.clone();
        async move { rpc.heads(heads_of(&["demo"])).await }
    }));
    let (calls, ()) = tokio::join!(calls, async {
        let waiting = async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND query LIKE '%JOIN matches m ON m.match_id = ANY%'";
            watch.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0)
        };
        eventually("a query waits", async || waiting().await > 0).await;
        // By then the other calls have long come: they travel on the same connection.
        for _ in 0..10 {
            rpc.clone().revoke(RevokeRequest { user_id: "alice".into(), not_before_ms: None }).await.unwrap();
            assert_eq!(waiting().await, 1);
        }
        locked.rollback().await.unwrap();
    });
    assert!(calls.into_iter().all(|call| call.unwrap().into_inner().heads.len() == 1));
}

#[tokio::test]
async fn what_is_malformed_or_missing_is_told_apart() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    let mut rpc = replica.rpc();
    let malformed = [vec!["alice"], vec!["alice", "bob", "alice"], vec!["alice", "b.b"]];
    let malformed = malformed.map(|members| members.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let too_many = (0..1_001).map(|number| number.to_string()).collect();
    for members in malformed.into_iter().chain([too_many]) {
        assert_eq!(
            code(
                rpc.put_match(PutMatchRequest { match_id: "demo".into(), members, ..PutMatchRequest::default() }).await
            ),
            Code::InvalidArgument
        );
    }
    let get =
        |id: &str| GetMatchRequest { match_id: id.to_owned(), since_seq: None, limit: 1, ..GetMatchRequest::default() };
    assert_eq!(code(rpc.get_match(get("a.b")).await), Code::InvalidArgument);
    assert_eq!(code(rpc.get_match(get("none")).await), Code::NotFound);
    assert_eq!(code(rpc.close_match(CloseMatchRequest { match_id: "none".into() }).await), Code::NotFound);
    for (user_id, not_before_ms) in [(String::new(), None), ("alice".into(), Some(-1))] {
        assert_eq!(code(rpc.revoke(RevokeRequest { user_id, not_before_ms }).await), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn on_behalf_of_a_stranger_a_match_is_as_good_as_none_closed_or_not() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    for id in ["open", "closed"] {
        replica.put(id).await;
        send(&bus, &request(id, "alice", vec![draft("a", "hello")])).await;
    }
    replica.rpc().close_match(CloseMatchRequest { match_id: "closed".into() }).await.unwrap();
    let get = async |id: &str, user: &str| {
        let user_id = Some(user.to_owned());
        let match_id = id.to_owned();
        let request = GetMatchRequest { match_id, since_seq: Some(0), limit: 9, user_id, ..GetMatchRequest::default() };
        replica.rpc().get_match(request).await.map(|found| found.into_inner().messages.len())
    };
    for id in ["open", "closed"] {
        // A member first: what is remembered of it is not the stranger's.
        assert_eq!(get(id, "alice").await.unwrap(), 1);
        assert_eq!(get(id, "bob").await.unwrap(), 1);
        let (foreign, absent) = (get(id, "mallory").await.unwrap_err(), get("none", "mallory").await.unwrap_err());
        assert_eq!((foreign.code(), foreign.message()), (absent.code(), absent.message()));
        assert_eq!(absent.code(), Code::NotFound);
    }
    assert_eq!(code(get("open", "no user!").await), Code::InvalidArgument);
}

#[tokio::test]
async fn a_user_is_told_the_heads_of_own_matches_only_also_when_calls_share_a_query() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    replica.put("hers").await;
    replica.put_members("his", ["mallory", "bob"]).await.unwrap();
    let ask = |user: Option<&str>| {
        let mut rpc = replica.rpc();
        let user_id = user.map(str::to_owned);
        let request = HeadsRequest { with_members: user.is_some(), user_id, ..heads_of(&["none", "his", "hers"]) };
        async move { rpc.heads(request).await.unwrap().into_inner().heads }
    };
    let answers =
        join_all((0..30).map(|n| ask([Some("alice"), Some("mallory"), Some("bob"), Some("nobody"), None][n % 5])));
    for (n, heads) in answers.await.into_iter().enumerate() {
        let ids: Vec<_> = heads.iter().map(|head| head.match_id.as_str()).collect();
        let expected: [&[&str]; 5] = [&["hers"], &["his"], &["his", "hers"], &[], &["his", "hers"]];
        assert_eq!(ids, expected[n % 5], "call {n}");
        assert!(n % 5 == 4 || heads.iter().all(|head| head.members.len() == 2));
    }
}
