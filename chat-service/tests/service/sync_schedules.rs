//! A device that only ever syncs, at random times and losing answers, has in the end what one sees that asks for
//! everything: whatever transactions are open meanwhile, and in whatever order they end.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proto::chat::{SyncRequest, SyncedMatch, chat_service_client::ChatServiceClient};
use service_kit::grpc;
use tokio_postgres::Client;

use crate::support::{Replica, Stack, eventually, shared};

/// `SYNC_SCHEDULES` in the environment asks for more: some 100 a second.
const SCHEDULES: u64 = 100;
/// Schedules that run at once, each with connections of its own.
const AT_ONCE: usize = 8;
const STEPS: usize = 40;
const WRITERS: usize = 3;
const MATCHES_OF_A_WRITER: usize = 2;

/// What the device keeps of a match: seq, rev, how far the user has read, and the newest message that the user may see.
type Kept = BTreeMap<String, (i64, i64, i64, i64)>;

/// What one transaction does to a match of the user.
const WRITES: [&str; 5] = [
    "WITH head AS (UPDATE matches SET last_seq = last_seq + 1 WHERE match_id = $1 RETURNING last_seq)
     INSERT INTO messages (match_id, seq, sender_id, client_id, by_rest, body, created_at)
     SELECT $1, last_seq, $2 || '-other', last_seq::text, false, '\"x\"', clock_timestamp() FROM head",
    "UPDATE matches SET rev = rev + 1 WHERE match_id = $1 AND $2 <> ''",
    "INSERT INTO positions AS p (match_id, user_id, read_seq, delivered_seq)
     SELECT match_id, $2, last_seq, last_seq FROM matches WHERE match_id = $1
     ON CONFLICT (match_id, user_id) DO UPDATE SET read_seq = excluded.read_seq",
    "INSERT INTO hidden (match_id, user_id, seq)
     SELECT match_id, $2, last_seq FROM matches WHERE match_id = $1 AND last_seq > 0 ON CONFLICT DO NOTHING",
    "DELETE FROM user_matches WHERE match_id = $1 AND user_id = $2 AND random() < 0.1",
];

/// A writer, its matches, and whether it has a transaction open.
struct Writer {
    sql: Client,
    matches: Vec<String>,
    is_open: bool,
}

/// The device.
struct Device {
    rpc: ChatServiceClient<grpc::Client>,
    user: String,
    token: Option<String>,
    kept: Kept,
}

impl Device {
    /// One page; an answer that is lost changes nothing. Whether there was anything.
    async fn sync(&mut self, limit: i32, is_lost: bool) -> bool {
        let request =
            SyncRequest { user_id: self.user.clone(), token: self.token.clone(), limit, ..SyncRequest::default() };
        // On a busy machine a call may come too late; then it is made again, as after any answer that is lost.
        let Ok(answer) = self.rpc.sync(request).await else { return true };
        let answer = answer.into_inner();
        assert!(!answer.reset);
        let is_something = answer.has_more || !answer.matches.is_empty();
        if !is_lost {
            self.token = Some(answer.token);
            answer.matches.into_iter().for_each(|of| keep(&mut self.kept, of));
        }
        is_something
    }
}

fn keep(kept: &mut Kept, of: SyncedMatch) {
    let Some(found) = of.r#match else {
        kept.remove(&of.match_id);
        return;
    };
    let read = of.receipts.and_then(|receipts| receipts.me).map_or(0, |me| me.read_seq);
    let last = of.last_message.map_or(0, |last| last.seq);
    kept.insert(of.match_id, (found.last_seq, found.rev, read, last));
}

async fn run(seed: u64, replica: &Replica, writers: &mut [Writer; WRITERS]) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let user = format!("u{seed}");
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.matches = (0..MATCHES_OF_A_WRITER).map(|of| format!("m{seed}-{n}-{of}")).collect();
        for id in &writer.matches {
            let members = [&*user, &format!("{user}-other")];
            eventually("the match is there", async || replica.put_members(id, members).await.is_ok()).await;
        }
    }
    let mut device = Device { rpc: replica.rpc(), user: user.clone(), token: None, kept: Kept::new() };
    for _ in 0..STEPS {
        if rng.u8(..) < 80 {
            device.sync(rng.i32(1..=4), rng.bool()).await;
            continue;
        }
        let writer = rng.choice(writers.iter_mut()).unwrap();
        match (writer.is_open, rng.u8(0..4)) {
            (false, _) => writer.sql.batch_execute("BEGIN").await.unwrap(),
            (true, 0) => writer.sql.batch_execute("COMMIT").await.unwrap(),
            (true, 1) => writer.sql.batch_execute("ROLLBACK").await.unwrap(),
            (true, _) => {
                let (write, id) = (rng.choice(WRITES).unwrap(), rng.choice(&writer.matches).unwrap());
                writer.sql.execute(write, &[id, &user]).await.unwrap();
                continue;
            }
        }
        writer.is_open = !writer.is_open;
    }
    for writer in writers.iter_mut().filter(|writer| writer.is_open) {
        writer.sql.batch_execute("COMMIT").await.unwrap();
        writer.is_open = false;
    }
    // The first of the two may be the last page of a round that began earlier.
    eventually("nothing is new", async || !device.sync(3, false).await & !device.sync(3, false).await).await;
    let mut newcomer = Device { rpc: replica.rpc(), user, token: None, kept: Kept::new() };
    eventually("everything is told", async || newcomer.sync(200, false).await && newcomer.token.is_some()).await;
    assert_eq!(device.kept, newcomer.kept, "seed {seed}");
}

async fn writers(stack: &Stack) -> [Writer; WRITERS] {
    let new = async || Writer { sql: stack.sql().await, matches: Vec::new(), is_open: false };
    [new().await, new().await, new().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_only_syncs_has_in_the_end_what_is_there() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    let count = std::env::var("SYNC_SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(SCHEDULES);
    let lane = async |first: u64| {
        let mut writers = writers(&stack).await;
        for seed in (first..count).step_by(AT_ONCE) {
            run(seed, &replica, &mut writers).await;
        }
    };
    join_all((0..AT_ONCE as u64).map(lane)).await;
}
