//! PostgreSQL and NATS go away and come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use local_stack::servers::Postgres;
use proto::chat::{Code, GetMatchRequest, ListMessagesRequest, list_messages_request::Position};
use service_kit::bus::Bus;
use tokio::time::{Instant, sleep};

use crate::support::{Replica, Servers, draft, eventually, inbox, outcomes, request, send, send_reliably};

const MATCHES: usize = 4;

/// As a power cut: PostgreSQL and all its backends are gone at once. (A kill leaves the backends running for a moment.)
async fn crash(postgres: &mut Postgres) {
    let pid = postgres.pid().unwrap().to_string();
    // Its immediate shutdown.
    assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
    eventually("PostgreSQL is gone", async || !postgres.is_running()).await;
}

/// What was acked: seq by (match, clientId).
type Acked = BTreeMap<(String, String), i64>;

/// Both members of some matches send, as gateways do, until told to stop.
async fn load(bus: &Bus, stop: &AtomicBool, count: &AtomicU64) -> Acked {
    let senders = (0..MATCHES).flat_map(|n| ["alice", "bob"].map(|user| (format!("m{n}"), user)));
    let acked = join_all(senders.map(async |(id, user)| {
        let mut acked = Acked::new();
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let ids = [format!("{user}-{round}-a"), format!("{user}-{round}-b")];
            let drafts = ids.iter().map(|client_id| draft(client_id, client_id)).collect();
            let results = send_reliably(bus, &request(&id, user, drafts)).await;
            for (client_id, result) in ids.into_iter().zip(results) {
                acked.insert((id.clone(), client_id), result.unwrap().seq);
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
        acked
    }))
    .await;
    acked.into_iter().flatten().collect()
}

/// Every acked message is stored under its seq, nothing is stored twice, and seqs have no gap.
async fn verify(replica: &Replica, acked: &Acked) {
    for n in 0..MATCHES {
        let id = format!("m{n}");
        let mut stored = Vec::new();
        loop {
            let position = Some(Position::After(i64::try_from(stored.len()).unwrap()));
            let page = ListMessagesRequest {
                match_id: id.clone(),
                position,
                limit: 200,
                user_id: None,
                ..ListMessagesRequest::default()
            };
            let page = replica.rpc().list_messages(page).await.unwrap().into_inner();
            stored.extend(page.messages);
            if !page.has_more {
                break;
            }
        }
        let seqs: Vec<i64> = stored.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..).take(stored.len()).collect::<Vec<_>>());
        let ids: BTreeSet<&str> = stored.iter().map(|message| message.client_id.as_str()).collect();
        assert_eq!(ids.len(), stored.len(), "nothing twice");
        let by_id: BTreeMap<&str, i64> =
            stored.iter().map(|message| (message.client_id.as_str(), message.seq)).collect();
        let of_match = acked.iter().filter(|((acked_in, _), _)| *acked_in == id);
        for ((_, client_id), seq) in of_match {
            assert_eq!(by_id.get(client_id.as_str()), Some(seq), "acked and not stored so: {id} {client_id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dies_under_load_and_no_acked_message_is_lost_or_stored_twice() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    for n in 0..MATCHES {
        one.put(&format!("m{n}")).await;
    }
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let progress = async |rounds: u64| {
        let from = count.load(Ordering::Relaxed);
        eventually("sends go on", async || count.load(Ordering::Relaxed) >= from + rounds).await;
    };
    let faults = async {
        for round in 0..4 {
            progress(100).await;
            if round % 2 == 0 {
                crash(&mut servers.postgres).await;
            } else {
                servers.postgres.kill();
            }
            sleep(Duration::from_millis(300)).await;
            servers.postgres.start_again().await.unwrap();
        }
        progress(100).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (acked, ()) = tokio::join!(load(&bus, &stop, &count), faults);
    verify(&two, &acked).await;
    assert!(one.stop().await && two.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_away_sends_are_refused_in_time_and_it_heals() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    crash(&mut servers.postgres).await;
    for round in 0..3 {
        let started = Instant::now();
        let results = outcomes(&send(&bus, &request("demo", "alice", vec![draft("b", "y")])).await);
        assert_eq!(results, [Err(Code::Unavailable)], "round {round}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    let get = GetMatchRequest { match_id: "demo".into(), since_seq: None, limit: 1, ..GetMatchRequest::default() };
    let status = replica.rpc().get_match(get).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    eventually("it is not ready", async || replica.app.readiness.missing() == ["postgres"]).await;
    servers.postgres.start_again().await.unwrap();
    let results = send_reliably(&bus, &request("demo", "alice", vec![draft("b", "y")])).await;
    assert_eq!(results[0].as_ref().unwrap().seq, 2);
    replica.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgres_leaves_no_send_unanswered() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    servers.postgres.freeze();
    let frozen = request("demo", "alice", vec![draft("b", "y")]);
    assert_eq!(outcomes(&send(&bus, &frozen).await), [Err(Code::Unavailable)]);
    servers.postgres.thaw();
    assert_eq!(send_reliably(&bus, &frozen).await[0].as_ref().unwrap().seq, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_dies_and_comes_back_and_sends_and_events_go_on() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    servers.nats.kill();
    eventually("it is not ready", async || replica.app.readiness.missing() == ["nats"]).await;
    servers.nats.start_again().await.unwrap();
    replica.ready().await;
    let mut bob = inbox(&bus, "bob").await;
    let results = send_reliably(&bus, &request("demo", "alice", vec![draft("b", "y")])).await;
    assert_eq!(results[0].as_ref().unwrap().seq, 2);
    assert_eq!(bob.messages(1).await[0].seq, 2);
    assert!(replica.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_nats_is_away_leaves_nothing_unfinished() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let replica = stack.replica().await;
    servers.nats.kill();
    eventually("it is not ready", async || replica.app.readiness.missing() == ["nats"]).await;
    let started = Instant::now();
    assert!(replica.stop().await);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_postgres_and_nats_waits_for_them() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    servers.postgres.kill();
    servers.nats.kill();
    let replica = stack.launch().await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(replica.app.readiness.missing(), ["postgres", "nats", "partitions"]);
    servers.postgres.start_again().await.unwrap();
    servers.nats.start_again().await.unwrap();
    replica.ready().await;
    replica.put("demo").await;
    let bus = stack.bus().await;
    let results = send_reliably(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    assert_eq!(results[0].as_ref().unwrap().seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_postgres_and_nats_is_quick() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    servers.postgres.kill();
    servers.nats.kill();
    let replica = stack.launch().await;
    sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    assert!(replica.stop().await);
    assert!(started.elapsed() < Duration::from_secs(5));
}
