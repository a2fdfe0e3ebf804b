//! Limits: who does not read, who sends too much, who connects too often.

use crate::client::frame;
use crate::support::{Seen, TestServer, soon};
use gateway::{listener, socketio::CloseReason};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{net::TcpStream, time::sleep};

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
    assert!(emitter.send_all(vec![event; 1001]).is_err());
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

/// Two sessions at once for each client behind a proxy on this machine.
fn two_sessions_a_client() -> listener::Config {
    listener::Config {
        connections: "1/2".parse().unwrap(),
        trusted_proxies: "127.0.0.0/8".parse().unwrap(),
        ..listener::Config::default()
    }
}

#[tokio::test]
async fn only_requests_of_known_sessions_go_past_the_limit() {
    let server = TestServer::start_with(|_| {}, two_sessions_a_client()).await;
    let ask = async |query: &str| {
        let request = format!(
            "GET /socket.io/?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
        );
        server.raw(request.as_bytes()).await
    };
    let opened = [ask("EIO=4&transport=polling").await, ask("xsid=1&EIO=4&transport=polling&sid=").await];
    assert_eq!(opened.each_ref().map(|answer| answer.status), [200, 200]);
    let sid = opened[0].body.split('"').nth(3).unwrap();
    for lookalike in ["xsid=1", "sid=", "t=sid=1", "%73id=1", "SID=1", "sid", "sid%3D=1", "sid=&sid="] {
        for query in [format!("EIO=4&transport=polling&{lookalike}"), format!("{lookalike}&EIO=4&transport=polling")] {
            assert_eq!(ask(&query).await.status, 429, "{query}");
        }
    }
    assert_eq!(server.server.sessions(), 2);
    // What a session asks for is not counted, nor is what asks for an unknown one.
    assert_eq!(ask(&format!("EIO=4&transport=polling&sid={sid}&transport=tobi")).await.status, 400);
    assert_eq!(ask("EIO=4&transport=polling&sid=none").await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let server = TestServer::start_with(|_| {}, two_sessions_a_client()).await;
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

#[tokio::test]
async fn a_kept_connection_may_be_idle_for_longer_than_headers_may_take() {
    let config = listener::Config {
        header_timeout: Duration::from_millis(300),
        keep_alive: Duration::from_millis(1_500),
        ..listener::Config::default()
    };
    let server = TestServer::start_with(|_| {}, config).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    for pause in [0, 900, 900] {
        sleep(Duration::from_millis(pause)).await;
        assert!(asked(&mut kept).await.starts_with("HTTP/1.1 400 "), "after {pause} ms");
    }
    // An idle one is closed in good order.
    let idle_since = Instant::now();
    assert_eq!(soon(kept.read(&mut [0; 16])).await.unwrap(), 0);
    assert!(idle_since.elapsed() >= Duration::from_secs(1), "{:?}", idle_since.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn half_a_request_on_a_kept_connection_has_the_time_for_headers_and_no_more() {
    let config = listener::Config { header_timeout: Duration::from_millis(300), ..listener::Config::default() };
    let server = TestServer::start_with(|_| {}, config).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    asked(&mut kept).await;
    let began = Instant::now();
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nHost: a-very-long-name".iter().cycle() {
            if kept.write_all(&[*byte]).await.is_err() || kept.try_read(&mut [0; 64]).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(drip).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.stop().await;
}

/// The head of the answer to a request without a session.
async fn asked(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let read = soon(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}
