//! The second counter of a match: what changes besides its messages has a gapless log, also in a database of before it.

use proto::{
    chat::{
        Change, CloseMatchRequest, GetMatchRequest, HeadsRequest, ListChangesRequest, ListChangesResponse,
        ListMessagesRequest, RecordMilestoneRequest, change::Kind, list_messages_request::Position,
    },
    inbox::chat_event::Event,
};
use tonic::Code;

use crate::support::{Replica, Stack, draft, inbox, request, send, shared};

const BEFORE: [&str; 2] = [
    include_str!("../../src/store/migrations/0001_matches_and_messages.sql"),
    include_str!("../../src/store/migrations/0002_revocations_by_change.sql"),
];

/// Matches of the database of before: more than two batches.
const MATCHES: i64 = 20_100;

async fn changes(replica: &Replica, id: &str, after_rev: i64, limit: i32) -> ListChangesResponse {
    let asked = ListChangesRequest { match_id: id.into(), after_rev, limit, user_id: None };
    replica.rpc().list_changes(asked).await.unwrap().into_inner()
}

/// The kinds of a page, by rev, with the heads of the match when they were made.
fn kinds(page: &ListChangesResponse) -> Vec<(i64, &str, i64)> {
    let name = |change: &Change| match &change.kind {
        Some(Kind::Milestone(_)) => "milestone",
        Some(Kind::Closing(_)) => "closing",
        Some(Kind::Membership(_)) => "membership",
        Some(Kind::Edited(_)) => "edited",
        Some(Kind::Deleted(_)) => "deleted",
        Some(Kind::Reacted(_)) => "reacted",
        None => "unknown",
    };
    page.changes.iter().map(|change| (change.rev, name(change), change.after_seq)).collect()
}

async fn record(replica: &Replica, id: &str, threshold: i64) {
    let milestone_id = format!("at-{threshold}");
    let asked = RecordMilestoneRequest {
        match_id: id.into(),
        milestone_id,
        threshold,
        unlocks: vec!["x".into()],
        ..RecordMilestoneRequest::default()
    };
    replica.rpc().record_milestone(asked).await.unwrap();
}

async fn close(replica: &Replica, id: &str) {
    replica.rpc().close_match(CloseMatchRequest { match_id: id.into() }).await.unwrap();
}

async fn epoch(replica: &Replica, id: &str) -> String {
    let asked = GetMatchRequest { match_id: id.into(), limit: 1, ..GetMatchRequest::default() };
    replica.rpc().get_match(asked).await.unwrap().into_inner().epoch
}

async fn five_messages(stack: &Stack, replica: &Replica) {
    replica.put("demo").await;
    let drafts = (0..5).map(|n| draft(&n.to_string(), "x")).collect();
    send(&stack.bus().await, &request("demo", "alice", drafts)).await;
}

#[tokio::test]
async fn milestones_and_the_closing_share_one_counter_without_gaps() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    five_messages(&stack, &replica).await;
    let mut bob = inbox(&bus, "bob").await;
    record(&replica, "demo", 2).await;
    send(&bus, &request("demo", "alice", vec![draft("late", "x")])).await;
    close(&replica, "demo").await;
    record(&replica, "demo", 5).await;
    // Repeats change nothing.
    record(&replica, "demo", 2).await;
    close(&replica, "demo").await;
    let page = changes(&replica, "demo", 0, 50).await;
    assert_eq!(kinds(&page), [(1, "milestone", 5), (2, "closing", 6), (3, "milestone", 6)]);
    assert_eq!((page.through_rev, page.has_more), (3, false));
    let found = replica.get("demo").await;
    assert_eq!((found.rev, found.milestones.iter().map(|one| one.rev).collect::<Vec<_>>()), (3, vec![1, 3]));
    assert_eq!(page.changes[0].kind, Some(Kind::Milestone(found.milestones[0].clone())));
    let closings = bob.rest().await.into_iter().filter_map(|event| match event {
        Event::MatchClosed(closed) => Some((closed.rev, closed.after_seq)),
        _ => None,
    });
    assert_eq!(closings.collect::<Vec<_>>(), [(2, 6), (2, 6)]);
}

#[tokio::test]
async fn changes_come_in_pages_that_say_how_far_they_are_complete() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    five_messages(&stack, &replica).await;
    for threshold in 1..=5 {
        record(&replica, "demo", threshold).await;
    }
    let first = changes(&replica, "demo", 0, 2).await;
    assert_eq!((first.changes.len(), first.through_rev, first.has_more), (2, 2, true));
    let last = changes(&replica, "demo", 4, 2).await;
    assert_eq!((last.changes.len(), last.through_rev, last.has_more), (1, 5, false));
    let beyond = changes(&replica, "demo", 5, 2).await;
    assert_eq!((beyond.changes.len(), beyond.through_rev, beyond.has_more), (0, 5, false));
    // A row that was erased by hand leaves a hole, which the page passes.
    stack.sql().await.execute("DELETE FROM changes WHERE rev IN (3, 5)", &[]).await.unwrap();
    let holed = changes(&replica, "demo", 2, 50).await;
    assert_eq!((kinds(&holed), holed.through_rev), (vec![(4, "milestone", 5)], 5));
    let asked = ListMessagesRequest {
        match_id: "demo".into(),
        position: Some(Position::After(3)),
        limit: 50,
        user_id: None,
        ..ListMessagesRequest::default()
    };
    assert_eq!(replica.rpc().list_messages(asked).await.unwrap().into_inner().through_rev, Some(5));
    let missing = ListChangesRequest { match_id: "none".into(), after_rev: 0, limit: 2, user_id: None };
    assert_eq!(replica.rpc().list_changes(missing).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_epoch_is_told_and_changes_with_the_cluster_that_the_database_lies_in() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    replica.put("demo").await;
    let first = epoch(&replica, "demo").await;
    assert_eq!(first.len(), 8);
    let heads = HeadsRequest { user_id: Some("alice".into()), ..HeadsRequest::default() };
    assert_eq!(replica.rpc().heads(heads).await.unwrap().into_inner().epoch, first, "of no match at all");
    assert!(replica.stop().await);
    let again = stack.replica().await;
    assert_eq!(epoch(&again, "demo").await, first, "after a restart");
    assert!(again.stop().await);
    // As the dump of another cluster tells it.
    stack.sql().await.execute("UPDATE epochs SET system = 7", &[]).await.unwrap();
    let restored = stack.replica().await;
    assert_ne!(epoch(&restored, "demo").await, first);
}

/// A database of version 2: every third match is closed, every second has a milestone, every fourth two.
async fn database_of_before(stack: &Stack) {
    let sql = stack.sql().await;
    for version in BEFORE {
        sql.batch_execute(version).await.unwrap();
    }
    let versions = "CREATE TABLE schema_versions (version integer PRIMARY KEY,
                        applied_at timestamptz NOT NULL DEFAULT now(), runs_from integer NOT NULL DEFAULT 1);
                    INSERT INTO schema_versions (version) VALUES (1), (2)";
    sql.batch_execute(versions).await.unwrap();
    let rows = format!(
        "INSERT INTO matches (match_id, last_seq, created_at, closed_at)
             SELECT 'm' || n, 3, now(), CASE WHEN n % 3 = 0 THEN now() END FROM generate_series(1, {MATCHES}) n;
         INSERT INTO members (match_id, user_id) SELECT match_id, unnest('{{alice,bob}}'::text[]) FROM matches;
         INSERT INTO user_matches (match_id, user_id) SELECT match_id, user_id FROM members;
         INSERT INTO messages (match_id, seq, sender_id, client_id, by_rest, body, created_at)
             SELECT match_id, seq, 'alice', seq, false, '\"x\"', now() FROM matches, generate_series(1, 3) seq;
         INSERT INTO milestones (match_id, milestone_id, ord, seq, unlocks, reached_at, announced_at)
             SELECT 'm' || n, 'first', 1, 1, '{{a}}', now(), now() FROM generate_series(2, {MATCHES}, 2) n;
         INSERT INTO milestones (match_id, milestone_id, ord, seq, unlocks, reached_at, announced_at)
             SELECT 'm' || n, 'second', 2, 2, '{{}}', now(), now() FROM generate_series(4, {MATCHES}, 4) n"
    );
    sql.batch_execute(&rows).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_before_keeps_every_message_milestone_and_closing() {
    let stack = shared().await.stack().await;
    database_of_before(&stack).await;
    let replica = stack.replica().await;
    let sql = stack.sql().await;
    let odd = "SELECT count(*) FROM matches m WHERE last_seq <> 3 OR rev <>
                   (SELECT count(*) FROM milestones s WHERE s.match_id = m.match_id) + (closed_at IS NOT NULL)::integer
               OR rev <> (SELECT count(*) FROM changes c WHERE c.match_id = m.match_id)
               OR rev <> (SELECT coalesce(max(c.rev), 0) FROM changes c WHERE c.match_id = m.match_id)";
    assert_eq!(sql.query_one(odd, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(sql.query_one("SELECT count(*) FROM messages", &[]).await.unwrap().get::<_, i64>(0), MATCHES * 3);
    let unread = "SELECT count(*) FROM members u LEFT JOIN positions p USING (match_id, user_id)
                  WHERE p.read_seq IS DISTINCT FROM 3 OR p.delivered_seq IS DISTINCT FROM 3";
    assert_eq!(sql.query_one(unread, &[]).await.unwrap().get::<_, i64>(0), 0, "what was there counts as read");
    let page = changes(&replica, "m12", 0, 50).await;
    assert_eq!(kinds(&page), [(1, "milestone", 1), (2, "milestone", 2), (3, "closing", 3)]);
    let found = replica.get("m12").await;
    assert_eq!(page.changes[1].kind, Some(Kind::Milestone(found.milestones[1].clone())));
    // The next ones count on.
    record(&replica, "m4", 3).await;
    assert_eq!(kinds(&changes(&replica, "m4", 2, 50).await), [(3, "milestone", 3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_was_cut_short_is_finished_by_the_next_replica() {
    let stack = shared().await.stack().await;
    database_of_before(&stack).await;
    stack.replica().await.stop().await;
    let sql = stack.sql().await;
    // What a replica leaves that dies after a batch.
    let cut_short = "DELETE FROM changes WHERE match_id > 'm5';
                     UPDATE matches SET rev = 0 WHERE match_id > 'm5';
                     UPDATE schema_versions SET filled_to = 'm5' WHERE version = 3";
    sql.batch_execute(cut_short).await.unwrap();
    stack.replica().await;
    let left = "SELECT count(*) FROM matches m
                WHERE rev <> (SELECT count(*) FROM changes c WHERE c.match_id = m.match_id)
                   OR (closed_at IS NOT NULL AND rev = 0)";
    assert_eq!(sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}
