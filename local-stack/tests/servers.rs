//! The real servers: started, killed, started again, gone with their owner.

#![allow(clippy::unwrap_used)]

use std::{net::TcpStream, path::Path};

use local_stack::servers::{Nats, Postgres, Redis};

fn port(url: &str) -> u16 {
    let (_, tail) = url.rsplit_once(':').unwrap();
    tail.split('/').next().unwrap().parse().unwrap()
}

fn accepts(url: &str) -> bool {
    TcpStream::connect(("127.0.0.1", port(url))).is_ok()
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn nats_comes_back_on_its_port_after_a_kill_and_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(dir.path()).await.unwrap();
    let url = nats.url().to_owned();
    assert!(accepts(&url));
    nats.kill();
    assert!(!accepts(&url));
    nats.start_again().await.unwrap();
    assert!(accepts(&url));
    nats.stop().await.unwrap();
    assert!(!accepts(&url));
    nats.start_again().await.unwrap();
    assert!(accepts(&url));
}

#[tokio::test]
async fn redis_comes_back_on_its_port_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(dir.path()).await.unwrap();
    redis.kill();
    assert!(!accepts(redis.url()));
    redis.start_again().await.unwrap();
    assert!(redis.is_ready().await);
}

#[tokio::test]
async fn postgres_comes_back_with_its_databases_after_a_kill_and_in_the_same_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(dir.path()).await.unwrap();
    let url = postgres.create_database("chat").await.unwrap();
    assert!(url.ends_with(&format!(":{}/chat", port(postgres.url()))));
    postgres.kill();
    assert!(!accepts(&url));
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.create_database("chat").await.unwrap(), url);
    postgres.stop().await.unwrap();
    drop(postgres);

    let postgres = Postgres::start(dir.path()).await.unwrap();
    postgres.create_database("chat").await.unwrap();
}

#[tokio::test]
async fn a_database_name_that_could_be_sql_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert!(postgres.create_database("a\"; DROP").await.is_err());
}

#[tokio::test]
async fn a_frozen_server_says_nothing_until_it_is_thawed() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(dir.path()).await.unwrap();
    redis.freeze();
    assert!(redis.is_running());
    assert!(!redis.is_ready().await);
    redis.thaw();
    assert!(redis.is_ready().await);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(dir.path()).await.unwrap();
    let pid = nats.pid().unwrap();
    assert!(exists(pid));
    drop(nats);
    assert!(!exists(pid));
}

#[test]
fn a_server_outlives_the_thread_and_the_runtime_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let start = move || tokio::runtime::Runtime::new().unwrap().block_on(Redis::start(&path)).unwrap();
    let mut redis = std::thread::spawn(start).join().unwrap();
    assert!(redis.is_running());
    assert!(accepts(redis.url()));
}
