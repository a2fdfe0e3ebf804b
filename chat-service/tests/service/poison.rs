//! What can never be stored or read fails alone.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proto::{MatchId, chat::Code};

use crate::{
    posted::{heads, orphan},
    support::{Process, draft, eventually, outcomes, request, send, shared},
};

#[tokio::test]
#[allow(clippy::disallowed_methods)]
async fn an_undecodable_payload_is_counted_and_the_requests_around_it_are_answered() {
    let stack = shared().await.stack().await;
    let (maker, bus) = (stack.replica().await, stack.bus().await);
    maker.put("demo").await;
    assert!(maker.stop().await);
    let replica = stack.process().await;
    let raw = async_nats::connect(&stack.nats).await.unwrap();
    let subjects = bus.subjects();
    let demo = MatchId::new("demo").unwrap();
    for n in 0..10 {
        for subject in [subjects.send(&demo), subjects.send_any(&demo)] {
            let subject = subject.as_str().to_owned();
            raw.publish_with_reply(subject, "nobody", "\u{7f}no protobuf".into()).await.unwrap();
        }
        raw.publish(subjects.replica().as_str().to_owned(), "\u{7f}".into()).await.unwrap();
        let sent = send(&bus, &request("demo", "alice", vec![draft(&format!("c{n}"), "fine")])).await;
        assert_eq!(outcomes(&sent)[0].as_ref().unwrap().seq, n + 1);
    }
    eventually("they are counted", async || replica.metric("bus_undecodable").await >= 30.0).await;
}

#[tokio::test]
async fn a_start_that_cannot_decode_the_newest_event_publishes_everything_again() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    replica.put("old").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    eventually("the stream knows it", async || heads(&bus).await == BTreeMap::from([("demo".to_owned(), 1)])).await;
    assert!(replica.stop().await);
    orphan(&stack, "old", 1, "100 days").await;
    let subject = bus.subjects().posted();
    bus.jetstream().publish(subject.as_str().to_owned(), "\u{7f}".into()).await.unwrap().await.unwrap();
    let next = stack.process().await;
    send(&bus, &request("demo", "alice", vec![draft("b", "y")])).await;
    let all = BTreeMap::from([("demo".to_owned(), 2), ("old".to_owned(), 1)]);
    eventually("the stream knows all", async || heads(&bus).await == all).await;
    assert!(next.metric("bus_undecodable").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_violates_the_schema_fails_alone_in_its_match_and_its_request() {
    let stack = shared().await.stack().await;
    let (maker, bus, sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    maker.put("demo").await;
    maker.put("other").await;
    assert!(maker.stop().await);
    let replica = stack.process().await;
    sql.batch_execute("ALTER TABLE messages ADD CHECK (body <> '\"poison\"')").await.unwrap();
    let mixed = request("demo", "alice", vec![draft("a", "1"), draft("b", "poison"), draft("c", "2")]);
    let fine = |id: &str, user: &str| request(id, user, vec![draft("d", "3")]);
    let requests = [mixed, fine("demo", "bob"), fine("other", "alice"), fine("other", "bob")];
    let results = join_all(requests.iter().map(|request| send(&bus, request))).await;
    let results: Vec<_> = results.iter().map(|results| outcomes(results)).collect();
    let [Ok(first), Err(Code::Internal), Ok(second)] = &results[0][..] else { panic!("{:?}", results[0]) };
    assert!(first.seq < second.seq);
    assert!(results[1..].iter().flatten().all(Result::is_ok), "{results:?}");
    let rows = sql.query("SELECT seq FROM messages WHERE match_id = 'demo' ORDER BY seq", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [1, 2, 3]);
    eventually("it is counted", async || internal_errors(&replica).await >= 1.0).await;
}

async fn internal_errors(replica: &Process) -> f64 {
    let text = replica.http("/metrics").await;
    let line = text.lines().find(|line| line.starts_with("chat_sends") && line.contains("\"internal\""));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}
