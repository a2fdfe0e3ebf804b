//! The upgrade from polling to a WebSocket.

use crate::client::{Client, Frame, frame};
use crate::support::{Polling, Seen, TestServer};
use gateway::socketio::CloseReason;
use std::time::Duration;

/// A polling session that is connected to `/`.
async fn connected(server: &TestServer) -> Polling<'_> {
    let polling = server.polling().await;
    assert_eq!(polling.post("40").await.status, 200);
    assert_eq!(server.seen().await, Seen::Connected("/".into()));
    assert!(polling.get().await.body.starts_with("40{"));
    polling
}

async fn second_transport(polling: &Polling<'_>) -> Client {
    Client::open(polling.server.address, &format!("&sid={}", polling.sid)).await
}

#[tokio::test]
async fn a_session_goes_on_over_its_websocket() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    let (get, ()) = tokio::join!(polling.get(), async {
        client.send("2probe").await;
        assert_eq!(client.text().await, "3probe");
    });
    assert_eq!((get.status, &*get.body), (200, "6"));
    server.emitter().emit("in between", "").unwrap();
    client.send("5").await;
    client.send("421[\"echo\"]").await;
    assert_eq!(client.text().await, "42[\"in between\"]");
    assert_eq!(client.text().await, "431[]");
    assert_eq!(polling.get().await.body, r#"{"code":3,"message":"Bad request"}"#);
    assert_eq!(polling.post("3").await.status, 400);
    drop(client);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ConnectionLost));
    server.stop().await;
}

#[tokio::test]
async fn packets_that_follow_the_upgrade_at_once_are_kept() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    let bytes: Vec<u8> = ["2probe", "5", "421[\"echo\"]", "422[\"echo\"]"]
        .iter()
        .flat_map(|packet| frame(0x81, packet.as_bytes()))
        .collect();
    client.raw(&bytes).await;
    for expected in ["3probe", "431[]", "432[]"] {
        assert_eq!(client.text().await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_get_that_waits_beside_a_hasty_upgrade_is_refused() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    let (get, ()) = tokio::join!(polling.get(), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send("2probe").await;
        client.send("5").await;
    });
    assert_eq!(get.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_failed_probe_leaves_polling_alive() {
    let server = TestServer::start(|config| config.engine.upgrade_timeout = Duration::from_millis(200)).await;
    let polling = connected(&server).await;
    for packets in [&["4hello"][..], &["5"], &["2probe", "4hello"], &["2probe", "1"], &["2probe"], &[]] {
        let mut client = second_transport(&polling).await;
        for packet in packets {
            client.send(packet).await;
        }
        // The probe's answer may come before the end.
        while client.frame().await.is_some() {}
        assert_eq!(polling.post("421[\"echo\"]").await.status, 200, "{packets:?}");
        assert_eq!(polling.get().await.body, "431[]", "{packets:?}");
    }
    let mut client = second_transport(&polling).await;
    client.send("2probe").await;
    client.send("5").await;
    assert_eq!(client.text().await, "3probe");
    server.stop().await;
}

#[tokio::test]
async fn pings_of_rfc_6455_are_answered_during_an_upgrade() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    client.raw(&frame(0x89, b"first")).await;
    assert_eq!(client.frame().await, Some(Frame { opcode: 10, payload: b"first".to_vec() }));
    client.send("2probe").await;
    assert_eq!(client.text().await, "3probe");
    client.raw(&[frame(0x89, b"second"), frame(0x81, b"5")].concat()).await;
    assert_eq!(client.frame().await, Some(Frame { opcode: 10, payload: b"second".to_vec() }));
    client.send("421[\"echo\"]").await;
    assert_eq!(client.text().await, "431[]");
    server.stop().await;
}

#[tokio::test]
async fn an_upgrade_that_never_ends_is_closed_in_order() {
    let server = TestServer::start(|config| config.engine.upgrade_timeout = Duration::from_millis(100)).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    client.send("2probe").await;
    assert_eq!(client.text().await, "3probe");
    assert_eq!(client.close_code().await, None);
    let mut again = second_transport(&polling).await;
    again.send("2probe").await;
    assert_eq!(again.text().await, "3probe");
    server.stop().await;
}

#[tokio::test]
async fn only_one_upgrade_at_a_time_and_none_after_it() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    client.send("2probe").await;
    assert_eq!(client.text().await, "3probe");
    assert_eq!(second_transport(&polling).await.close_code().await, None);
    client.send("5").await;
    client.send("421[\"echo\"]").await;
    assert_eq!(client.text().await, "431[]");
    assert_eq!(second_transport(&polling).await.close_code().await, None);
    client.send("422[\"echo\"]").await;
    assert_eq!(client.text().await, "432[]");
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_ends_its_upgrade() {
    let server = TestServer::start(|_| {}).await;
    let polling = connected(&server).await;
    let mut client = second_transport(&polling).await;
    client.send("2probe").await;
    assert_eq!(client.text().await, "3probe");
    assert_eq!(polling.post("1").await.status, 200);
    assert_eq!(client.close_code().await, None);
    server.stop().await;
}
