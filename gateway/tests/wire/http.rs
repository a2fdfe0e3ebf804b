//! Long-polling and the errors of the HTTP side.

use crate::support::{Seen, TestServer, fast, soon};
use gateway::socketio::CloseReason;
use std::{fmt::Write, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn errors_are_those_of_the_protocol() {
    let server = TestServer::start(|_| {}).await;
    let mut shown = String::new();
    for (method, query) in [
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=tobi"),
        ("GET", "EIO=4&transport=polling&sid=none"),
        ("POST", "EIO=4&transport=polling&sid=none"),
        ("POST", "EIO=4&transport=polling"),
        ("PUT", "EIO=4&transport=polling"),
        ("GET", "EIO=4&transport=websocket"),
        ("GET", "EIO=3&transport=polling"),
        ("GET", "transport=polling"),
        ("OPTIONS", "EIO=4&transport=polling"),
    ] {
        let response = server.request(method, query, "").await;
        writeln!(shown, "{method} {query}: {} {}", response.status, response.body).unwrap();
    }
    insta::assert_snapshot!(shown, @r#"
    GET EIO=4: 400 {"code":0,"message":"Transport unknown"}
    GET EIO=4&transport=tobi: 400 {"code":0,"message":"Transport unknown"}
    GET EIO=4&transport=polling&sid=none: 400 {"code":1,"message":"Session ID unknown"}
    POST EIO=4&transport=polling&sid=none: 400 {"code":1,"message":"Session ID unknown"}
    POST EIO=4&transport=polling: 400 {"code":2,"message":"Bad handshake method"}
    PUT EIO=4&transport=polling: 400 {"code":2,"message":"Bad handshake method"}
    GET EIO=4&transport=websocket: 400 {"code":3,"message":"Bad request"}
    GET EIO=3&transport=polling: 400 {"code":5,"message":"Unsupported protocol version"}
    GET transport=polling: 400 {"code":5,"message":"Unsupported protocol version"}
    OPTIONS EIO=4&transport=polling: 400 {"code":2,"message":"Bad handshake method"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_session_lives_on_polling_alone() {
    let server = TestServer::start(|_| {}).await;
    let polling = server.polling().await;
    assert_eq!(polling.post("40").await.body, "ok");
    assert_eq!(server.seen().await, Seen::Connected("/".into()));
    assert!(polling.get().await.body.starts_with("40{\"sid\":"));
    let post = "421[\"echo\",\"€\"]\u{1e}451-2[\"echo\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
    assert_eq!(polling.post(post).await.body, "ok");
    let expected = "431[\"€\"]\u{1e}461-2[{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
    assert_eq!(polling.get().await.body, expected);
    let (got, ()) = tokio::join!(polling.get(), async {
        tokio::task::yield_now().await;
        server.emitter().emit("later", "").unwrap();
    });
    assert_eq!(got.body, "42[\"later\"]");
    server.stop().await;
}

#[tokio::test]
async fn two_gets_at_once_close_the_session() {
    let server = TestServer::start(|_| {}).await;
    let polling = server.polling().await;
    let (one, other) = tokio::join!(polling.get(), polling.get());
    let mut answers = [(one.status, one.body), (other.status, other.body)];
    answers.sort();
    assert_eq!(answers[0], (200, "1".into()));
    assert_eq!(answers[1].0, 400);
    assert_eq!(polling.get().await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn two_posts_at_once_close_the_session() {
    let server = TestServer::start(|_| {}).await;
    let polling = server.polling().await;
    let mut half = half_a_post(&server, &polling.sid).await;
    while polling.post("3").await.status == 200 {}
    assert_eq!(polling.get().await.status, 400);
    // The first one is answered although the rest of it never comes.
    let mut answer = Vec::new();
    soon(half.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_broken_off_closes_the_session() {
    let server = TestServer::start(|_| {}).await;
    for query in ["", "post"] {
        let polling = server.polling().await;
        assert_eq!(polling.post("40").await.status, 200);
        assert_eq!(server.seen().await, Seen::Connected("/".into()));
        assert!(polling.get().await.body.starts_with("40{"));
        let stream = if query.is_empty() {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let get =
                format!("GET /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: t\r\n\r\n", polling.sid);
            stream.write_all(get.as_bytes()).await.unwrap();
            stream
        } else {
            half_a_post(&server, &polling.sid).await
        };
        // It must have been taken up before it is broken off.
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(stream);
        assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ClientClosed));
        assert_eq!(polling.get().await.status, 400);
    }
    server.stop().await;
}

/// A POST whose last byte is still to come.
async fn half_a_post(server: &TestServer, sid: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let post =
        format!("POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n");
    stream.write_all(post.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn bad_bodies_close_the_session_and_large_ones_do_not() {
    let server = TestServer::start(|_| {}).await;
    let polling = server.polling().await;
    assert_eq!(polling.post(&format!("4{}", "x".repeat(64 * 1024))).await.status, 413);
    let chunked = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n10001\r\n{}\r\n0\r\n\r\n",
        polling.sid,
        "x".repeat(0x10001)
    );
    assert_eq!(server.raw(chunked.as_bytes()).await.status, 413);
    assert_eq!(polling.post("3").await.status, 200);
    for body in ["abc", "", "42[\"before connect\"]", "4abc", "2", "2probe"] {
        let polling = server.polling().await;
        assert_eq!(polling.post(body).await.status, 400, "{body}");
        assert_eq!(polling.get().await.status, 400, "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_close_packet_ends_the_waiting_get() {
    let server = TestServer::start(|_| {}).await;
    for _ in 0..20 {
        let polling = server.polling().await;
        let (get, post) = tokio::join!(polling.get(), polling.post("1"));
        assert_eq!((get.status, &*get.body, post.status), (200, "6", 200));
        assert_eq!(polling.get().await.status, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_polling_client_that_does_not_answer_pings_is_dead() {
    let server = TestServer::start(|config| fast(&mut config.engine)).await;
    let polling = server.polling().await;
    assert_eq!(polling.get().await.body, "2");
    assert_eq!(polling.post("3").await.status, 200);
    assert_eq!(polling.get().await.body, "2");
    assert_eq!(polling.get().await.body, "1");
    let silent = server.polling().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(silent.get().await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_poll() {
    let server = TestServer::start(|config| config.engine.cors_origins = "http://localhost:*".parse().unwrap()).await;
    let request = async |method: &str, origin: &str| {
        let request = format!(
            "{method} /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        );
        server.raw(request.as_bytes()).await
    };
    let allowed = "access-control-allow-origin: http://localhost:5173";
    let preflight = request("OPTIONS", "http://localhost:5173").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.head.contains(allowed) && preflight.head.contains("access-control-allow-methods: "));
    assert!(request("GET", "http://localhost:5173").await.head.contains(allowed));
    let refused = request("GET", "https://evil.example").await;
    assert!(!refused.head.contains("access-control-allow"), "{}", refused.head);
    server.stop().await;
}

#[tokio::test]
async fn a_kept_connection_serves_many_requests() {
    let server = TestServer::start(|_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let read = soon(tokio::io::AsyncReadExt::read(&mut stream, &mut answer)).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 400 "));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_says_once_whom_it_is_for() {
    let server = TestServer::start(|_| {}).await;
    let websocket = "Upgrade: websocket\r\n";
    let mut shown = String::new();
    for (request, headers) in [
        ("GET /socket.io/?EIO=4&transport=polling HTTP/1.1", ""),
        ("GET /socket.io/?EIO=4&transport=polling HTTP/1.0", ""),
        ("GET /socket.io/?EIO=4&transport=polling HTTP/1.1", "Host: t\r\nHost: t\r\n"),
        ("GET /socket.io/?EIO=4&transport=polling HTTP/1.0", "Host: t\r\nHost: t\r\n"),
        ("GET /socket.io/?EIO=4&transport=polling HTTP/1.1", "Host: a b\r\n"),
        ("GET http://t/socket.io/?EIO=4&transport=polling HTTP/1.1", ""),
        ("GET http://t/socket.io/?EIO=4&transport=polling HTTP/1.1", "Host: other\r\n"),
        ("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", websocket),
        ("POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1", "Content-Length: 2\r\n"),
        ("GET /nowhere HTTP/1.1", ""),
    ] {
        let answer = server.raw(format!("{request}\r\n{headers}Connection: close\r\n\r\n").as_bytes()).await;
        writeln!(shown, "{}: {request} {:?}", answer.status, headers.lines().collect::<Vec<_>>()).unwrap();
    }
    insta::assert_snapshot!(shown, @r#"
    400: GET /socket.io/?EIO=4&transport=polling HTTP/1.1 []
    200: GET /socket.io/?EIO=4&transport=polling HTTP/1.0 []
    400: GET /socket.io/?EIO=4&transport=polling HTTP/1.1 ["Host: t", "Host: t"]
    400: GET /socket.io/?EIO=4&transport=polling HTTP/1.0 ["Host: t", "Host: t"]
    400: GET /socket.io/?EIO=4&transport=polling HTTP/1.1 ["Host: a b"]
    400: GET http://t/socket.io/?EIO=4&transport=polling HTTP/1.1 []
    200: GET http://t/socket.io/?EIO=4&transport=polling HTTP/1.1 ["Host: other"]
    400: GET /socket.io/?EIO=4&transport=websocket HTTP/1.1 ["Upgrade: websocket"]
    400: POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1 ["Content-Length: 2"]
    400: GET /nowhere HTTP/1.1 []
    "#);
    server.stop().await;
}
