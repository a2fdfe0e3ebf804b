//! Servers of which there are several: a NATS cluster, and PostgreSQL with a standby.

#![allow(clippy::unwrap_used)]

use std::{net::TcpStream, process::Command};

use local_stack::{
    daemon::Daemon,
    servers::{NatsCluster, Postgres, PostgresPair},
};

/// What the client `psql` prints for a statement, or its error.
fn sql(url: &str, statement: &str) -> Result<String, String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement, url]);
    let output = psql.env("PGCONNECT_TIMEOUT", "5").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn the_servers_of_a_nats_cluster_come_and_go_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = NatsCluster::start(dir.path(), 3).await.unwrap();
    let ports: Vec<u16> = cluster.urls().iter().map(|url| port(url)).collect();
    let accept = |ports: &[u16]| -> Vec<bool> {
        ports.iter().map(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).collect()
    };
    let names: Vec<&str> = cluster.nodes_mut().iter().map(Daemon::name).collect();
    assert_eq!(names, ["nats-0", "nats-1", "nats-2"]);
    assert_eq!(accept(&ports), [true; 3]);
    cluster.nodes_mut()[1].kill();
    assert_eq!(accept(&ports), [true, false, true]);
    cluster.nodes_mut()[1].start_again().await.unwrap();
    assert_eq!(accept(&ports), [true; 3]);
}

#[tokio::test]
async fn what_was_committed_is_there_after_promotions_and_the_old_primary_never_comes_back_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = PostgresPair::start(dir.path()).await.unwrap();
    let url = pair.create_database("chat").await.unwrap();
    sql(&url, "CREATE TABLE t AS SELECT 1 AS n").unwrap();

    // One that hangs when its place is taken.
    pair.primary_mut().freeze();
    pair.promote().await.unwrap();
    assert_eq!(pair.primary_mut().name(), "postgres-1");
    sql(&url, "INSERT INTO t VALUES (2)").unwrap();
    assert!(pair.standby_mut().start_again().await.is_err(), "its data is gone");
    assert!(pair.promote().await.is_err(), "nobody is left to promote");

    pair.rejoin().await.unwrap();
    sql(&url, "INSERT INTO t VALUES (3)").unwrap();
    pair.promote().await.unwrap();
    assert_eq!(pair.primary_mut().name(), "postgres-0");
    sql(&url, "INSERT INTO t VALUES (4)").unwrap();
    assert_eq!(sql(&url, "SELECT sum(n) FROM t").unwrap(), "10");
    drop(pair);

    let alone = Postgres::start(dir.path()).await.unwrap();
    let url = alone.create_database("chat").await.unwrap();
    sql(&url, "INSERT INTO t VALUES (5)").unwrap();
    drop(alone);
    let pair = PostgresPair::start(dir.path()).await.unwrap();
    let url = pair.create_database("chat").await.unwrap();
    assert_eq!(sql(&url, "SELECT sum(n) FROM t").unwrap(), "15");
}

#[tokio::test]
async fn a_commit_waits_for_the_standby() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = PostgresPair::start(dir.path()).await.unwrap();
    let url = pair.create_database("chat").await.unwrap();
    sql(&url, "CREATE TABLE t (n int)").unwrap();
    pair.standby_mut().freeze();
    let insert = {
        let url = url.clone();
        std::thread::spawn(move || sql(&url, "INSERT INTO t VALUES (1)"))
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while sql(&url, waiting).unwrap() != "1" {}
    assert!(!insert.is_finished());
    pair.standby_mut().thaw();
    insert.join().unwrap().unwrap();
}
