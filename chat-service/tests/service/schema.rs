//! The schema's versions: replicas that migrate at once, services of this version on the next one, and on one that is
//! too new.
//!
//! For whoever writes the next migration: before it becomes a version, put it where [`NEXT`] is. What is tested with it
//! is what a rolling update does, whose old services go on while the first new one has migrated.

use std::{fs, process::Command};

use futures_util::future::join_all;
use proto::chat::change_message_request::{Change as Act, DeleteForEveryone};
use proto::chat::{
    CloseMatchRequest, Code, HeadsRequest, ListMatchesRequest, ListMessagesRequest, RecordMilestoneRequest,
    list_messages_request::Position,
};
use service_kit::bus::Bus;

use crate::support::{
    Replica, Stack, change_message, draft, eventually, inbox, mark, outcomes, request, send, seqs, shared,
};

/// An example of a next migration that only adds: columns with and without a default, a table, an index, a wider check.
const NEXT: &str = "
    ALTER TABLE messages ADD COLUMN expires_at timestamptz, ADD COLUMN kind text NOT NULL DEFAULT 'text';
    ALTER TABLE matches ADD COLUMN topic text NOT NULL DEFAULT '';
    ALTER TABLE positions ADD COLUMN muted boolean NOT NULL DEFAULT false;
    CREATE TABLE bookmarks (match_id text NOT NULL, seq bigint NOT NULL, user_id text NOT NULL, PRIMARY KEY (match_id, seq, user_id));
    CREATE INDEX messages_expiring ON messages (expires_at) WHERE expires_at IS NOT NULL;
    ALTER TABLE messages ADD CONSTRAINT seq_counts CHECK (seq > 0)";

/// The version of this service's schema.
const CURRENT: i32 = 12;

/// A later version comes to be, as a new service does it, beside those that run.
async fn migrate_to(stack: &Stack, version: i32, runs_from: i32, sql: &str) {
    let mut client = stack.sql().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute(sql).await.unwrap();
    let note = "INSERT INTO schema_versions (version, runs_from) VALUES ($1, $2)";
    transaction.execute(note, &[&version, &runs_from]).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Everything that the service does with its tables, in a match of its own.
async fn use_all_of(replica: &Replica, bus: &Bus, id: &str) {
    let mut bob = inbox(bus, "bob").await;
    replica.put(id).await;
    assert_eq!(seqs(&send(bus, &request(id, "alice", vec![draft("a", "1"), draft("b", "2")])).await), [1, 2]);
    // A repeat, and something new behind it, take the locked way.
    let again = outcomes(&send(bus, &request(id, "alice", vec![draft("a", "1"), draft("c", "3")])).await);
    assert_eq!(again.iter().map(|result| result.as_ref().unwrap().duplicate).collect::<Vec<_>>(), [true, false]);
    assert_eq!(bob.messages(3).await.len(), 3);
    let mut rpc = replica.rpc();
    for position in [None, Some(Position::Before(4)), Some(Position::After(0))] {
        let page = ListMessagesRequest {
            match_id: id.into(),
            position,
            limit: 50,
            user_id: None,
            ..ListMessagesRequest::default()
        };
        assert_eq!(rpc.list_messages(page).await.unwrap().into_inner().messages.len(), 3);
    }
    for change in [Act::Edit("\"x\"".into()), Act::Delete(DeleteForEveryone {})] {
        change_message(replica, (id, "alice", 1), None, change).await.unwrap();
    }
    assert!(matches!(mark(replica, (id, "bob"), &[2]).await, Ok(position) if position.unread == 1));
    let milestone = RecordMilestoneRequest {
        match_id: id.into(),
        milestone_id: "m".into(),
        threshold: 3,
        unlocks: vec![],
        ..RecordMilestoneRequest::default()
    };
    assert!(rpc.record_milestone(milestone).await.unwrap().into_inner().recorded);
    let close = CloseMatchRequest { match_id: id.into() };
    rpc.close_match(close).await.unwrap();
    assert_eq!(outcomes(&send(bus, &request(id, "alice", vec![draft("d", "4")])).await), [Err(Code::MatchClosed)]);
    let heads = HeadsRequest { match_ids: vec![id.into()], with_members: true, user_id: None };
    let head = rpc.heads(heads).await.unwrap().into_inner().heads.remove(0);
    assert_eq!((head.last_seq, head.rev, head.milestones, head.closed, head.members.len()), (3, 4, 1, true, 2));
    let list = ListMatchesRequest { user_id: "alice".into(), after: None, limit: 50 };
    assert!(rpc.list_matches(list).await.unwrap().into_inner().matches.iter().any(|found| found.match_id == id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_migrate_once() {
    let stack = shared().await.stack().await;
    let replicas = join_all((0..4).map(|_| stack.replica())).await;
    let versions =
        stack.sql().await.query("SELECT version, runs_from FROM schema_versions ORDER BY version", &[]).await.unwrap();
    let versions: Vec<(i32, i32)> = versions.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(versions, (1..=CURRENT).map(|version| (version, if version < 3 { 1 } else { 3 })).collect::<Vec<_>>());
    use_all_of(&replicas[3], &stack.bus().await, "demo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_this_version_run_on_the_next_schema() {
    let stack = shared().await.stack().await;
    let (running, bus) = (stack.replica().await, stack.bus().await);
    use_all_of(&running, &bus, "before").await;
    migrate_to(&stack, CURRENT + 1, CURRENT, NEXT).await;
    use_all_of(&running, &bus, "after").await;
    assert!(running.stop().await);
    let started_later = stack.replica().await;
    use_all_of(&started_later, &bus, "later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_before_versions_were_compatible_is_taken_over() {
    let stack = shared().await.stack().await;
    stack.replica().await.stop().await;
    stack.sql().await.batch_execute("ALTER TABLE schema_versions DROP COLUMN runs_from").await.unwrap();
    use_all_of(&stack.replica().await, &stack.bus().await, "demo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_needs_later_services_is_refused_in_one_clear_line() {
    let stack = shared().await.stack().await;
    stack.replica().await.stop().await;
    migrate_to(&stack, CURRENT + 2, CURRENT + 1, "ALTER TABLE messages RENAME TO letters").await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chat-service"))
        .args(["--database-url", &stack.database, "--nats-url", &stack.nats, "--prefix", &stack.prefix])
        .args(["--grpc-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"])
        .stdout(log.reopen().unwrap())
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
    let (newest, needed) = (CURRENT + 2, CURRENT + 1);
    let line = format!(
        "schema is version {newest} and needs services of version {needed} or later, this one is of version {CURRENT}"
    );
    eventually("it says why it does not start", async || fs::read_to_string(log.path()).unwrap().contains(&line)).await;
    child.kill().unwrap();
    child.wait().unwrap();
}
