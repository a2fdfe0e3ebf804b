//! The erasure of a user: what goes, what stays, and that it is done whatever becomes of the replicas.

use std::time::Duration;

use proto::{
    chat::{
        ChangeMembersRequest, EraseUserRequest, Erasure, ErasureState, GetErasureRequest, GetMatchRequest,
        HideMessageRequest, ListChangesRequest, ListMatchesRequest, ListMessagesRequest, Message, PutBlockRequest,
        PutSettingsRequest, ReportRequest,
        change::Kind,
        change_message_request::{Change, React},
        report_response,
    },
    inbox::chat_event::Event,
};
use service_kit::bus::Bus;
use tonic::Code;

use crate::support::{Replica, Stack, change_message, draft, eventually, inbox, mark, request, send, shared};

async fn ask(replica: &Replica, user: &str) -> Erasure {
    replica.rpc().erase_user(EraseUserRequest { user_id: user.into() }).await.unwrap().into_inner()
}

async fn receipt(replica: &Replica, user: &str) -> Erasure {
    replica.rpc().get_erasure(GetErasureRequest { user_id: user.into() }).await.unwrap().into_inner()
}

async fn erased(replica: &Replica, user: &str) -> Erasure {
    eventually("the user is erased", async || receipt(replica, user).await.state() == ErasureState::Done).await;
    receipt(replica, user).await
}

fn counts(erasure: &Erasure) -> Vec<(&str, i64)> {
    erasure.steps.iter().map(|step| (step.name.as_str(), step.count)).collect()
}

async fn count(stack: &Stack, sql: &str) -> i64 {
    stack.sql().await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Rows that hold something of alice.
async fn rows_of_alice(stack: &Stack) -> i64 {
    let tables = ["settings", "blocks", "positions", "hidden", "commands", "user_matches", "departures", "left_groups"];
    let counts = tables.map(|table| format!("(SELECT count(*) FROM {table} WHERE user_id = 'alice')"));
    let bodies = "(SELECT count(*) FROM messages WHERE sender_id = 'alice' AND (body <> '' OR original IS NOT NULL))";
    let reactions = "(SELECT count(*) FROM messages WHERE reactions LIKE '%alice%')";
    let versions = "(SELECT count(*) FROM versions JOIN messages USING (match_id, seq) WHERE sender_id = 'alice')";
    count(stack, &format!("SELECT {} + {bodies} + {reactions} + {versions}", counts.join(" + "))).await
}

async fn say(bus: &Bus, id: &str, sender: &str, count: usize) {
    for first in (0..count).step_by(100) {
        let drafts = (first..count.min(first + 100)).map(|n| draft(&format!("{sender}{n}"), &format!("{sender} {n}")));
        send(bus, &request(id, sender, drafts.collect())).await;
    }
}

async fn page(replica: &Replica, id: &str, user: &str) -> Vec<Message> {
    let asked =
        ListMessagesRequest { match_id: id.into(), limit: 200, user_id: Some(user.into()), ..Default::default() };
    replica.rpc().list_messages(asked).await.unwrap().into_inner().messages
}

async fn react(replica: &Replica, of: (&str, &str, i64), name: &str) {
    let change = Change::React(React { emoji: "👍".into(), on: true });
    change_message(replica, of, Some(name), change).await.unwrap();
}

/// Something of everything that there can be of alice in a match with bob.
async fn live(replica: &Replica, bus: &Bus, id: &str) {
    replica.put(id).await;
    say(bus, id, "alice", 3).await;
    say(bus, id, "bob", 2).await;
    change_message(replica, (id, "alice", 1), Some("e"), Change::Edit("\"alice edited\"".into())).await.unwrap();
    react(replica, (id, "alice", 4), "r").await;
    react(replica, (id, "bob", 4), "r").await;
    react(replica, (id, "bob", 2), "s").await;
    mark(replica, (id, "alice"), &[5]).await.unwrap();
    let hide = HideMessageRequest { match_id: id.into(), user_id: "alice".into(), seq: 5 };
    replica.rpc().hide_message(hide).await.unwrap();
}

#[tokio::test]
async fn everything_of_the_user_goes_and_what_is_others_stays() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    live(&replica, &bus, "demo").await;
    let mut rpc = replica.rpc();
    let settings = PutSettingsRequest { user_id: "alice".into(), share_receipts: Some(false), ..Default::default() };
    rpc.put_settings(settings).await.unwrap();
    for (user_id, blocked_id) in [("alice", "mallory"), ("mallory", "alice")] {
        rpc.put_block(PutBlockRequest { user_id: user_id.into(), blocked_id: blocked_id.into() }).await.unwrap();
    }
    let report =
        ReportRequest { match_id: "demo".into(), user_id: "bob".into(), reason: "x".into(), ..Default::default() };
    let reported = rpc.report(report).await.unwrap().into_inner().result;
    let Some(report_response::Result::Reported(reported)) = reported else { panic!("{reported:?}") };
    let evidence = "SELECT count(*) FROM evidence WHERE sender_id = 'alice' AND body LIKE '%alice%'";
    let kept = count(&stack, evidence).await;
    let mut bob = inbox(&bus, "bob").await;

    let asked = ask(&replica, "alice").await;
    assert_eq!(counts(&asked)[..2], [("settings", 1), ("blocks", 1)]);
    let done = erased(&replica, "alice").await;
    let expected = [
        ("settings", 1),
        ("blocks", 1),
        ("matches", 1),
        ("messages", 3),
        ("versions", 1),
        ("reactions", 1),
        ("positions", 1),
        ("hidden", 1),
        ("commands", 2),
        ("evidence", 1),
    ];
    assert_eq!(counts(&done), expected);
    assert!(done.steps.iter().all(|step| step.state() == ErasureState::Done));
    assert_eq!(done.steps.last().unwrap().report_ids, [reported.report_id]);
    assert!(done.finished_at_ms >= Some(done.requested_at_ms));
    assert_eq!((rows_of_alice(&stack).await, count(&stack, evidence).await), (0, kept));
    assert_eq!(count(&stack, "SELECT count(*) FROM blocks WHERE blocked_id = 'alice'").await, 1, "of the other");

    // The other one hears of it as of an unmatch, and reads what is left: rows and seqs stand.
    let closings = bob.rest().await.into_iter().filter(|event| matches!(event, Event::MatchClosed(_))).count();
    assert_eq!(closings, 1);
    let left = page(&replica, "demo", "bob").await;
    let left: Vec<_> = left.iter().map(|of| (of.seq, of.deleted, of.body.as_str(), of.reactions.len())).collect();
    let bob_said = [(4, false, "\"bob 0\"", 1), (5, false, "\"bob 1\"", 0)];
    assert_eq!(left, [[(1, true, "", 0), (2, true, "", 0), (3, true, "", 0)].as_slice(), &bob_said].concat());
    let log = ListChangesRequest { match_id: "demo".into(), limit: 200, user_id: Some("bob".into()), after_rev: 4 };
    let log = log_of(&rpc.list_changes(log).await.unwrap().into_inner().changes);
    let deleted = |rev, seq| (rev, "deleted", seq);
    assert_eq!(log, [(5, "closing", 0), deleted(6, 1), deleted(7, 2), deleted(8, 3), (9, "reacted", 4)]);
}

fn log_of(changes: &[proto::chat::Change]) -> Vec<(i64, &'static str, i64)> {
    let name = |kind: &Kind| match kind {
        Kind::Closing(_) => ("closing", 0),
        Kind::Deleted(deleted) => ("deleted", deleted.seq),
        Kind::Reacted(reacted) => ("reacted", reacted.seq),
        Kind::Membership(_) => ("membership", 0),
        Kind::Milestone(_) | Kind::Edited(_) => ("other", 0),
    };
    let named = |change: &proto::chat::Change| {
        let (kind, seq) = name(change.kind.as_ref().unwrap());
        (change.rev, kind, seq)
    };
    changes.iter().map(named).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_goes_on_where_one_has_died() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let (id, sql) = ("long", stack.sql().await);
    replica.put(id).await;
    say(&bus, id, "alice", 6_000).await;
    say(&bus, id, "bob", 10).await;
    let left = "SELECT count(*) FROM messages WHERE sender_id = 'alice' AND body <> ''";
    assert_eq!(count(&stack, left).await, 6_000);
    assert!(replica.stop().await);
    // Nobody but the one that is killed is there to take it on.
    let first = stack.process().await;
    let asked = "INSERT INTO erasures (user_id, asked_at, due_at) VALUES ('alice', now(), now());
                 INSERT INTO erasure_matches (user_id, match_id) VALUES ('alice', 'long')";
    sql.batch_execute(asked).await.unwrap();
    eventually("a part is erased", async || count(&stack, left).await < 6_000).await;
    first.signal("KILL");
    drop(first);
    let rest = count(&stack, left).await;
    assert!(rest > 0, "it was killed in the middle");
    // Its lease is over, as it will be in a few seconds.
    sql.batch_execute("UPDATE erasures SET due_at = now()").await.unwrap();
    let second = stack.replica().await;
    let done = erased(&second, "alice").await;
    assert_eq!(counts(&done)[2..4], [("matches", 1), ("messages", 6_000)], "each is counted once");
    assert_eq!((count(&stack, left).await, rows_of_alice(&stack).await), (0, 0));
    let log = "SELECT count(DISTINCT rev) - max(rev) FROM changes WHERE match_id = 'long'";
    assert_eq!(count(&stack, log).await, 0, "the log has no gap");
    let one_closing = "SELECT count(*) FROM changes WHERE match_id = 'long' AND kind = 'closing'";
    assert_eq!(count(&stack, one_closing).await, 1);
    let found = GetMatchRequest { match_id: id.into(), limit: 1, ..Default::default() };
    let found = second.rpc().get_match(found).await.unwrap().into_inner().r#match.unwrap();
    assert_eq!((found.last_seq, found.rev), (6_010, 6_001));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_take_the_same_erasure_do_no_harm() {
    let stack = shared().await.stack().await;
    let (first, second, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    for number in 0..20 {
        live(&first, &bus, &format!("m{number}")).await;
    }
    ask(&first, "alice").await;
    let sql = stack.sql().await;
    let mut done = receipt(&second, "alice").await;
    while done.state() != ErasureState::Done {
        // As if the lease were over all the time.
        sql.batch_execute("UPDATE erasures SET due_at = now() WHERE finished_at IS NULL").await.unwrap();
        done = receipt(&second, "alice").await;
    }
    assert_eq!(counts(&done)[2..6], [("matches", 20), ("messages", 60), ("versions", 20), ("reactions", 20)]);
    assert_eq!(rows_of_alice(&stack).await, 0);
    let gaps = "SELECT count(*) FROM matches m
                WHERE rev <> (SELECT count(*) FROM changes c WHERE c.match_id = m.match_id)";
    assert_eq!(count(&stack, gaps).await, 0);
}

#[tokio::test]
async fn a_member_of_a_larger_match_leaves_it_and_the_others_go_on() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put_members("group", ["alice", "bob", "carol"]).await.unwrap();
    replica.put_members("left", ["alice", "bob", "carol"]).await.unwrap();
    for id in ["group", "left"] {
        say(&bus, id, "alice", 2).await;
        react(&replica, (id, "alice", 1), "r").await;
    }
    let leave = ChangeMembersRequest { match_id: "left".into(), remove: vec!["alice".into()], ..Default::default() };
    replica.rpc().change_members(leave).await.unwrap();
    ask(&replica, "alice").await;
    let done = erased(&replica, "alice").await;
    assert_eq!(counts(&done)[2..4], [("matches", 2), ("messages", 4)], "also where the user was before");
    assert_eq!(rows_of_alice(&stack).await, 0);
    for id in ["group", "left"] {
        let found = replica.get(id).await;
        assert_eq!((found.closed_at_ms, found.members), (None, vec!["bob".to_owned(), "carol".to_owned()]));
        say(&bus, id, "bob", 1).await;
        let last = page(&replica, id, "carol").await.pop().unwrap();
        assert_eq!((last.seq, last.body.as_str()), (3, "\"bob 0\""));
    }
}

#[tokio::test]
async fn a_user_who_appears_again_is_another_one_until_asked_for_again() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    live(&replica, &bus, "old").await;
    ask(&replica, "alice").await;
    erased(&replica, "alice").await;
    let matches = async || {
        let asked = ListMatchesRequest { user_id: "alice".into(), after: None, limit: 50 };
        let found = replica.rpc().list_matches(asked).await.unwrap().into_inner().matches;
        found.into_iter().map(|found| found.match_id).collect::<Vec<_>>()
    };
    assert_eq!(matches().await, [""; 0]);
    let old =
        ListMessagesRequest { match_id: "old".into(), limit: 9, user_id: Some("alice".into()), ..Default::default() };
    assert_eq!(replica.rpc().list_messages(old).await.unwrap_err().code(), Code::NotFound);
    live(&replica, &bus, "new").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((matches().await, page(&replica, "new", "alice").await.len()), (vec!["new".to_owned()], 4));
    ask(&replica, "alice").await;
    let done = erased(&replica, "alice").await;
    assert_eq!(counts(&done)[2..4], [("matches", 2), ("messages", 6)], "the receipt has both");
    assert_eq!(rows_of_alice(&stack).await, 0);
}

#[tokio::test]
async fn what_was_closed_before_is_not_told_again() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    live(&replica, &bus, "demo").await;
    let close = proto::chat::CloseMatchRequest { match_id: "demo".into() };
    replica.rpc().close_match(close).await.unwrap();
    let mut bob = inbox(&bus, "bob").await;
    ask(&replica, "alice").await;
    erased(&replica, "alice").await;
    assert_eq!((bob.rest().await, rows_of_alice(&stack).await), (vec![], 0));
}

#[tokio::test]
async fn an_unknown_user_is_erased_and_malformed_ids_are_refused() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    let mut rpc = replica.rpc();
    let nobody = rpc.get_erasure(GetErasureRequest { user_id: "nobody".into() }).await;
    assert_eq!(nobody.unwrap_err().code(), Code::NotFound);
    for _ in 0..2 {
        ask(&replica, "nobody").await;
        let done = erased(&replica, "nobody").await;
        assert!(counts(&done).iter().all(|(_, count)| *count == 0));
    }
    for id in ["", "x y", &"x".repeat(65)] {
        let erase = rpc.erase_user(EraseUserRequest { user_id: id.into() }).await;
        assert_eq!(erase.unwrap_err().code(), Code::InvalidArgument);
        let read = rpc.get_erasure(GetErasureRequest { user_id: id.into() }).await;
        assert_eq!(read.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_fails_is_tried_again_and_others_do_not_wait_for_it() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    live(&replica, &bus, "demo").await;
    let sql = stack.sql().await;
    sql.batch_execute("ALTER TABLE positions RENAME TO away").await.unwrap();
    ask(&replica, "alice").await;
    let failures = "SELECT failures::bigint FROM erasures WHERE user_id = 'alice'";
    eventually("it fails", async || count(&stack, failures).await > 0).await;
    ask(&replica, "nobody").await;
    erased(&replica, "nobody").await;
    sql.batch_execute("ALTER TABLE away RENAME TO positions").await.unwrap();
    erased(&replica, "alice").await;
    assert_eq!(rows_of_alice(&stack).await, 0);
}

#[tokio::test]
async fn the_operator_sees_what_waits_what_fails_and_what_is_done() {
    let stack = shared().await.stack().await;
    let (process, sql) = (stack.process().await, stack.sql().await);
    let asked = "ALTER TABLE departures RENAME TO away;
                 INSERT INTO matches (match_id, created_at, closed_at) VALUES ('demo', now(), now());
                 INSERT INTO erasures (user_id, asked_at, due_at) VALUES ('alice', now() - interval '1 hour', now());
                 INSERT INTO erasure_matches (user_id, match_id) VALUES ('alice', 'demo')";
    sql.batch_execute(asked).await.unwrap();
    let outcome = async |outcome: &str| {
        let text = process.http("/metrics").await;
        let of = format!("outcome=\"{outcome}\"");
        text.lines().any(|line| line.starts_with("chat_erasures") && line.contains(&of))
    };
    eventually("it fails", async || outcome("failed").await).await;
    assert!(!outcome("finished").await);
    eventually("it waits", async || process.metric("chat_erasures_waiting").await >= 1.0).await;
    assert!(process.metric("chat_erasures_oldest").await > 3_000.0);
    sql.batch_execute("ALTER TABLE away RENAME TO departures").await.unwrap();
    eventually("it is done", async || outcome("finished").await).await;
    eventually("nobody waits", async || process.metric("chat_erasures_waiting").await < 1.0).await;
}

#[tokio::test]
async fn receipts_are_forgotten_when_their_time_is_over() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    for user in ["alice", "bob"] {
        ask(&replica, user).await;
        erased(&replica, user).await;
    }
    assert!(replica.stop().await);
    let old = "UPDATE erasures SET finished_at = now() - interval '91 days' WHERE user_id = 'alice'";
    stack.sql().await.batch_execute(old).await.unwrap();
    let replica = stack.replica().await;
    let left = "SELECT count(*) FROM erasures WHERE user_id = 'alice'";
    eventually("the older one is forgotten", async || count(&stack, left).await == 0).await;
    assert_eq!(receipt(&replica, "bob").await.state(), ErasureState::Done);
}
