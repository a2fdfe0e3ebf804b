//! The ends of a session: heartbeat, shutdown, and what is still delivered.

use crate::client::frame;
use crate::support::{Seen, TestServer, fast};
use gateway::socketio::CloseReason;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_dead_in_time() {
    let server = TestServer::start(|config| fast(&mut config.engine)).await;
    let start = Instant::now();
    let mut client = server.connected().await;
    assert_eq!(client.text().await, "2");
    client.send("3").await;
    assert_eq!(client.text().await, "2");
    assert_eq!(client.close_code().await, None);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::PingTimeout));
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_millis(700), "{elapsed:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_was_emitted_before_a_close_still_arrives() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.send("42[\"close\"]").await;
    assert_eq!(client.text().await, "42[\"last\"]");
    assert_eq!(client.close_code().await, None);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ServerClosed));
    server.stop().await;
}

#[tokio::test]
async fn a_close_frame_is_not_lost_while_the_client_still_sends() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let mut bytes = frame(0x81, b"42[\"close\"]");
    for _ in 0..10_000 {
        bytes.extend(frame(0x81, b"42[\"echo\"]"));
    }
    client.raw(&bytes).await;
    assert_eq!(client.text().await, "42[\"last\"]");
    assert_eq!(client.close_code().await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_close_packet_ends_the_session() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.send("1").await;
    assert_eq!(client.close_code().await, None);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ClientClosed));
    server.stop().await;
}

#[tokio::test]
async fn a_polling_client_fetches_what_was_left_and_the_close() {
    let server = TestServer::start(|_| {}).await;
    let polling = server.polling().await;
    assert_eq!(polling.post("40").await.body, "ok");
    assert!(polling.get().await.body.starts_with("40{"));
    assert_eq!(polling.post("42[\"close\"]").await.status, 200);
    // Apart: the official client would hand on what comes with a close only after its reconnect.
    assert_eq!(polling.get().await.body, r#"42["last"]"#);
    assert_eq!(polling.get().await.body, "1");
    assert_eq!(polling.get().await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_closes_all_and_refuses_new_sessions() {
    let server = TestServer::start(|_| {}).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.connected().await);
    }
    let polling = server.polling().await;
    let (shutdown, ()) = tokio::join!(
        async {
            let start = Instant::now();
            server.server.shutdown(Duration::from_millis(200)).await;
            start.elapsed()
        },
        async {
            for client in &mut clients {
                assert_eq!(client.close_code().await, None);
            }
        }
    );
    assert!(shutdown >= Duration::from_millis(150), "spread over time, but took {shutdown:?}");
    assert_eq!(polling.get().await.body, "1");
    assert_eq!(server.request("GET", "EIO=4&transport=polling", "").await.status, 503);
    for _ in 0..20 {
        assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ServerClosed));
    }
    server.stop().await;
}
