//! COMMITs that PostgreSQL made and the standby may not have.

use std::time::Duration;

use proto::{
    MatchId,
    chat::{
        CloseMatchRequest, Code, PutMatchRequest, RecordMilestoneRequest, RevokeRequest, SendReply, SendRequest,
        chat_service_client::ChatServiceClient,
    },
};
use service_kit::{clock, grpc};
use tokio::time::sleep;
use tokio_postgres::Client;
use tonic::Status;

use crate::support::{Servers, draft, eventually, inbox, outcomes, request, send, send_reliably};

/// How the wait of a COMMIT for the standby may end without it.
const CUTS: [Option<&str>; 3] = [None, Some("pg_cancel_backend"), Some("pg_terminate_backend")];

/// What cuts the waits of all COMMITs that wait now, and tells how many.
fn cut_by(function: &str) -> String {
    format!("SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
}

/// From now on each COMMIT waits for a standby that never comes.
async fn wait_for_a_standby([sql, other]: &[Client; 2]) {
    set_standby(sql, "ghost").await;
    // Sessions wait only once the checkpointer has read the setting too.
    eventually("a COMMIT waits", async || {
        tokio::select! {
            done = other.batch_execute("SELECT pg_logical_emit_message(true, '', '')") => done.is_err(),
            () = is_cut(sql, "pg_cancel_backend") => true,
        }
    })
    .await;
}

async fn set_standby(sql: &Client, name: &str) {
    set(sql, "synchronous_standby_names", name).await;
}

async fn set(sql: &Client, setting: &str, value: &str) {
    sql.batch_execute(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await.unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the setting holds", async || {
        let row = sql.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        row.get::<_, &str>(0) == value
    })
    .await;
}

async fn is_cut(sql: &Client, function: &str) {
    eventually("a COMMIT waits and is cut", async || {
        sql.query(&cut_by(function), &[]).await.is_ok_and(|rows| !rows.is_empty())
    })
    .await;
}

/// A COMMIT whose wait for the standby is cut short says so in a warning, and succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_reach_the_standby_is_not_acked() {
    let servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, [stack.sql().await, stack.sql().await]);
    let mut bob = inbox(&bus, "bob").await;
    for (n, cut) in CUTS.into_iter().enumerate() {
        let id = format!("m{n}");
        replica.put(&id).await;
        wait_for_a_standby(&sql).await;
        // Longer than the statement time-out, which cuts the wait short if nothing else does.
        let patient =
            SendRequest { deadline_ms: clock::unix_ms() + 4_500, ..request(&id, "alice", vec![draft("a", "x")]) };
        let subject = bus.subjects().send(&MatchId::new(id.as_str()).unwrap());
        let cutting = async {
            if let Some(function) = cut {
                is_cut(&sql[0], function).await;
            }
        };
        let (reply, ()) =
            tokio::join!(bus.request::<_, SendReply>(&subject, &patient, Duration::from_secs(6)), cutting);
        assert_eq!(outcomes(&reply.unwrap().results), [Err(Code::Unavailable)], "{cut:?}");
        assert!(bob.rest().await.is_empty(), "{cut:?}");
        set_standby(&sql[0], "").await;
        let results = send_reliably(&bus, &request(&id, "alice", vec![draft("a", "x")])).await;
        assert_eq!(results[0].as_ref().unwrap().seq, 1, "{cut:?}");
    }
}

/// What chat-service acks beside sends.
const CALLS: [&str; 4] = ["put", "close", "record a milestone", "revoke"];

async fn call(what: &str, id: &str, rpc: &mut ChatServiceClient<grpc::Client>) -> Result<(), Status> {
    let match_id = id.to_owned();
    match what {
        "put" => {
            let members = ["alice", "bob"].map(str::to_owned).into();
            rpc.put_match(PutMatchRequest { match_id: format!("{id}-new"), members, ..PutMatchRequest::default() })
                .await
                .map(|_| ())
        }
        "close" => rpc.close_match(CloseMatchRequest { match_id }).await.map(|_| ()),
        "revoke" => rpc.revoke(RevokeRequest { user_id: id.to_owned(), not_before_ms: None }).await.map(|_| ()),
        _ => {
            let unlocks = vec!["video_call".to_owned()];
            let reached = RecordMilestoneRequest {
                match_id,
                milestone_id: "first".into(),
                threshold: 1,
                unlocks,
                ..RecordMilestoneRequest::default()
            };
            rpc.record_milestone(reached).await.map(|_| ())
        }
    }
}

/// Cuts every wait for the standby for as long as it is polled.
async fn keep_cutting(sql: &Client, function: &str) {
    loop {
        let _ = sql.query(&cut_by(function), &[]).await;
        sleep(Duration::from_millis(10)).await;
    }
}

/// Nor is a repeat acked that finds everything done already, and waits for the standby in vain as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_that_did_not_reach_the_standby_is_acked() {
    let servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, [stack.sql().await, stack.sql().await]);
    let mut rpc = replica.rpc();
    for function in CUTS.into_iter().flatten() {
        for (n, what) in CALLS.into_iter().enumerate() {
            let id = format!("{function}-{n}");
            replica.put(&id).await;
            send(&bus, &request(&id, "alice", vec![draft("a", "x")])).await;
            wait_for_a_standby(&sql).await;
            for round in 0..2 {
                let status = tokio::select! {
                    answer = call(what, &id, &mut rpc) => answer.unwrap_err(),
                    () = keep_cutting(&sql[0], function) => unreachable!("it goes on"),
                };
                assert_eq!(status.code(), tonic::Code::Unavailable, "{what}, round {round}: {function}");
            }
            set_standby(&sql[0], "").await;
            eventually("it is acked", async || call(what, &id, &mut rpc).await.is_ok()).await;
        }
    }
}

/// A session keeps the durability that it began with, whatever the server is told later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_commit_carelessly_changes_no_ack() {
    let servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, [stack.sql().await, stack.sql().await]);
    let mut rpc = replica.rpc();
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    set(&sql[0], "synchronous_commit", "off").await;
    sql[1].batch_execute("SET synchronous_commit = 'on'").await.unwrap();
    wait_for_a_standby(&sql).await;
    let careful = request("demo", "alice", vec![draft("b", "y")]);
    let (sent, revoked) = tokio::join!(send(&bus, &careful), call("revoke", "carol", &mut rpc));
    assert_eq!(outcomes(&sent), [Err(Code::Unavailable)]);
    assert_eq!(revoked.unwrap_err().code(), tonic::Code::Unavailable);
}
