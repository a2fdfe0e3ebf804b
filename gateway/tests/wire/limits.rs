//! Limits: who does not read, who sends too much, who connects too often.

use crate::client::frame;
use crate::support::{Seen, TestServer, soon};
use gateway::{listener, socketio::CloseReason};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_reader_that_stalls_is_closed_when_its_queue_is_full() {
    let server = TestServer::start(|_| {}).await;
    let client = server.connected().await;
    let emitter = server.emitter();
    let text = format!("\"{}\"", "x".repeat(10_000));
    let mut count = 0;
    while emitter.emit("news", &text).is_ok() {
        count += 1;
        assert!(emitter.queued_bytes() <= 256 * 1024);
        tokio::task::yield_now().await;
        assert!(count < 10_000, "the queue has no bound");
    }
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::QueueFull));
    assert_eq!(server.server.sessions(), 0);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_queue_is_bounded_in_packets() {
    let server = TestServer::start(|_| {}).await;
    let _client = server.connected().await;
    let emitter = server.emitter();
    let event = emitter.event_packet("x", "");
    emitter.emit("first", "").unwrap();
    assert!(emitter.send_all(&vec![event; 1001]).is_err());
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::QueueFull));
    server.stop().await;
}

#[tokio::test]
async fn one_packet_may_be_larger_than_the_queue() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let page = format!("\"{}\"", "x".repeat(3_000_000));
    server.emitter().emit("page", &page).unwrap();
    assert_eq!(client.text().await.len(), page.len() + "42[\"page\",]".len());
    client.send("421[\"echo\"]").await;
    assert_eq!(client.text().await, "431[]");
    assert_eq!(server.emitter().queued_bytes(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_write_without_progress_closes_the_session() {
    let server = TestServer::start(|config| {
        config.engine.write_timeout = Duration::from_millis(300);
        config.engine.max_queued_bytes = 100_000_000;
    })
    .await;
    let client = server.connected().await;
    server.emitter().emit("page", &format!("\"{}\"", "x".repeat(20_000_000))).unwrap();
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::WriteTimeout));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_without_reading_is_not_read_from_for_ever() {
    let server = TestServer::start(|config| config.engine.write_timeout = Duration::from_millis(300)).await;
    let mut client = server.connected().await;
    let event = frame(0x81, format!("421[\"echo\",\"{}\"]", "x".repeat(10_000)).as_bytes());
    let flood = async { while client.stream.write_all(&event).await.is_ok() {} };
    soon(flood).await;
    let Seen::Disconnected(_, reason) = server.seen().await else { panic!() };
    assert!(matches!(reason, CloseReason::WriteTimeout | CloseReason::QueueFull), "{reason:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_burst_of_events_is_answered_in_order() {
    let server = TestServer::start(|_| {}).await;
    let client = server.connected().await;
    let (mut read, mut write) = client.stream.into_split();
    let bytes: Vec<u8> = (0..20_000).flat_map(|id| frame(0x81, format!("42{id}[\"echo\",{id}]").as_bytes())).collect();
    let expected: Vec<u8> = (0..20_000)
        .flat_map(|id| {
            let text = format!("43{id}[{id}]");
            [vec![0x81, u8::try_from(text.len()).unwrap()], text.into_bytes()].concat()
        })
        .collect();
    let mut got = vec![0; expected.len()];
    let (sent, received) = soon(async { tokio::join!(write.write_all(&bytes), read.read_exact(&mut got)) }).await;
    sent.unwrap();
    received.unwrap();
    assert!(got == expected);
    server.stop().await;
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_time() {
    let config = listener::Config { header_timeout: Duration::from_millis(200), ..listener::Config::default() };
    let server = TestServer::start_with(|_| {}, config).await;
    let request = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(server.raw(request.as_bytes()).await.status, 431);
    for begun in ["", "GET / HTTP/1.1\r\nHost: "] {
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        soon(slow.read_to_end(&mut rest)).await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let config = listener::Config {
        connections_per_second: 1,
        connection_burst: 2,
        trusted_proxies: "127.0.0.0/8".parse().unwrap(),
        ..listener::Config::default()
    };
    let server = TestServer::start_with(|_| {}, config).await;
    let open = async |client: &str| {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             X-Forwarded-For: 192.0.2.7, {client}\r\n\r\n"
        );
        server.raw(request.as_bytes()).await.status
    };
    for (client, status) in [("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)] {
        assert_eq!(open(client).await, status, "{client}");
    }
    server.stop().await;
}
