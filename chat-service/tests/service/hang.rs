//! A PostgreSQL that accepts connections and says nothing while another takes over, and one that is merely busy.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use local_stack::proxy::{Condition, Proxy};
use proto::chat::GetMatchRequest;
use tokio::time::{sleep, timeout};

use crate::support::{PATIENCE, Replica, Stack, eventually, shared};

/// Many more than there are connections.
const READERS: usize = 200;
/// Between a reader's calls, so that refusals do not keep the machine busy.
const PAUSE: Duration = Duration::from_millis(10);

/// A primary and the server that will take its place. In truth they are one server behind two links.
struct Hosts {
    primary: Proxy,
    successor: Proxy,
}

impl Hosts {
    /// The successor is not there yet.
    fn of(stack: &Stack) -> (Self, Stack) {
        let (rest, database) = stack.database.rsplit_once('/').unwrap();
        let (credentials, port) = rest.rsplit_once("127.0.0.1:").unwrap();
        let [primary, successor] = [(); 2].map(|()| Proxy::start(port.parse().unwrap()).unwrap());
        successor.set(Condition::Cut);
        let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), successor.port());
        let database = format!("{credentials}{hosts}/{database}");
        (Self { primary, successor }, Stack { database, ..stack.clone() })
    }

    fn hang(&self) {
        self.primary.set(Condition::Silent);
        self.successor.set(Condition::Open);
    }
}

/// Reads the match again and again until it has heard enough of whether it was answered.
async fn read_until(replica: &Replica, enough: impl Fn(bool) -> bool) {
    let rpc = replica.rpc();
    let get = GetMatchRequest { match_id: "demo".into(), since_seq: None, limit: 1, ..GetMatchRequest::default() };
    while !enough(rpc.clone().get_match(get.clone()).await.is_ok()) {
        sleep(PAUSE).await;
    }
}

async fn all_have_read(replica: &Replica) {
    let reads = join_all((0..READERS).map(|_| read_until(replica, |answered| answered)));
    timeout(PATIENCE, reads).await.expect("reads are answered in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_hang_on_a_lost_primary_do_not_keep_others_from_its_successor() {
    let stack = shared().await.stack().await;
    let (hosts, behind) = Hosts::of(&stack);
    let replica = behind.replica().await;
    replica.put("demo").await;
    all_have_read(&replica).await;
    hosts.hang();
    all_have_read(&replica).await;
    replica.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_hangs_is_given_up_and_made_on_the_successor() {
    let stack = shared().await.stack().await;
    let (hosts, behind) = Hosts::of(&stack);
    let mut sql = stack.sql().await;
    let earlier = sql.transaction().await.unwrap();
    // As another replica does that migrates, see `store/migrations.rs`.
    earlier.execute("SELECT pg_advisory_xact_lock($1)", &[&0x6d69_6e64_6675_6c01_i64]).await.unwrap();
    let replica = behind.launch().await;
    eventually("the replica waits for its turn", async || {
        let waiting = "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                       WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
        !earlier.query(waiting, &[]).await.unwrap().is_empty()
    })
    .await;
    hosts.hang();
    earlier.rollback().await.unwrap();
    replica.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_reads_wait_for_a_lock_stays_ready() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    replica.put("demo").await;
    let mut sql = stack.sql().await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE matches").await.unwrap();
    let refused = AtomicUsize::new(0);
    // Some seconds' worth.
    let enough = |answered: bool| refused.fetch_add(usize::from(!answered), Ordering::Relaxed) >= 3 * READERS;
    let reads = join_all((0..READERS).map(|_| read_until(&replica, enough)));
    let watch = async {
        loop {
            assert_eq!(replica.app.readiness.missing(), [""; 0]);
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        _ = reads => {}
        () = watch => {}
    }
}
