//! Socket.IO on the wire: namespaces, acks, attachments and bad packets.

use crate::client::{Frame, frame};
use crate::support::{Seen, TestServer};
use gateway::socketio::CloseReason;
use std::time::Duration;

#[tokio::test]
async fn namespaces_of_a_connection_are_apart() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.send("40/chat,{\"pid\":1}").await;
    let reply = client.text().await;
    assert!(reply.starts_with("40/chat,{\"sid\":\"") && reply.ends_with("\",\"pid\":\"p-1\"}"), "{reply}");
    assert_eq!(server.seen().await, Seen::Connected("/chat".into()));
    client.send("42/chat,5[\"echo\",1]").await;
    assert_eq!(client.text().await, "43/chat,5[1]");
    client.send("41/chat,").await;
    assert_eq!(server.seen().await, Seen::Disconnected("/chat".into(), CloseReason::ClientDisconnected));
    assert!(server.emitter().emit("gone", "").is_err());
    client.send("420[\"echo\",\"still here\"]").await;
    assert_eq!(client.text().await, "430[\"still here\"]");
    server.stop().await;
}

#[tokio::test]
async fn refusals_are_told() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.websocket().await;
    client.send("40/none,").await;
    assert_eq!(client.text().await, r#"44/none,{"message":"Invalid namespace"}"#);
    client.send(r#"40{"refuse":"error"}"#).await;
    assert_eq!(client.text().await, r#"44{"message":"not \"you\"","data":{"code":"NO"}}"#);
    client.send(r#"40{"refuse":"close"}"#).await;
    assert_eq!(client.close_code().await, None);
    server.stop().await;
}

#[tokio::test]
async fn attachments_go_both_ways() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let args = r#"{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}"#;
    client.send(&format!("452-9[\"echo\",{args}]")).await;
    client.send_binary(b"one").await;
    client.send_binary(b"").await;
    assert_eq!(client.text().await, format!("462-9[{args}]"));
    assert_eq!(client.frame().await, Some(Frame { opcode: 2, payload: b"one".to_vec() }));
    assert_eq!(client.frame().await, Some(Frame { opcode: 2, payload: vec![] }));
    server.stop().await;
}

#[tokio::test]
async fn the_client_answers_our_events() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.send("42[\"ask\",\"what\"]").await;
    assert_eq!(client.text().await, "427[\"ask\",\"what\"]");
    client.send("437[\"that\",{\"a\":1}]").await;
    assert_eq!(server.seen().await, Seen::Ack(7, "\"that\",{\"a\":1}".into()));
    server.stop().await;
}

#[tokio::test]
async fn events_that_arrive_during_a_connect_wait_for_it() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let bytes: Vec<u8> = ["40/slow,", "421[\"echo\",1]", "422[\"echo\",2]"]
        .iter()
        .flat_map(|packet| frame(0x81, packet.as_bytes()))
        .collect();
    client.raw(&bytes).await;
    client.send("423[\"echo\",3]").await;
    server.emitter().emit("meanwhile", "").unwrap();
    assert_eq!(client.text().await, "42[\"meanwhile\"]");
    server.server.application().admit.notify_one();
    assert!(client.text().await.starts_with("40/slow,{"));
    for number in 1..=3 {
        assert_eq!(client.text().await, format!("43{number}[{number}]"));
    }
    server.stop().await;
}

#[tokio::test]
async fn invalid_packets_close_the_connection() {
    let server = TestServer::start(|_| {}).await;
    let packets = [
        "2",
        "2probe",
        "9",
        "",
        "4",
        "4abc",
        "42{}",
        "42[\"echo\"",
        "42abc[\"echo\"]",
        "42[\"connect\"]",
        "40",
        "41{}",
        "41/chat,",
        "42/chat,[\"echo\"]",
        "43/chat,1[]",
        "44{}",
        "4511-[\"echo\"]",
        r#"451-["echo",{"_placeholder":true,"num":1}]"#,
        "bAAAA",
    ];
    for packet in packets {
        let mut client = server.connected().await;
        client.send(packet).await;
        assert_eq!(client.close_code().await, None, "{packet}");
        let seen = server.seen().await;
        assert_eq!(seen, Seen::Disconnected("/".into(), CloseReason::ProtocolError), "{packet}");
    }
    server.stop().await;
}

#[tokio::test]
async fn attachments_out_of_place_close_the_connection() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.send_binary(b"of nothing").await;
    assert_eq!(client.close_code().await, None);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ProtocolError));
    let mut client = server.connected().await;
    client.send(r#"451-["echo",{"_placeholder":true,"num":0}]"#).await;
    client.send(r#"42["echo"]"#).await;
    assert_eq!(client.close_code().await, None);
    server.stop().await;
}

#[tokio::test]
async fn packets_without_meaning_are_ignored() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    for packet in ["0{}", "3", "3probe", "5", "6", "43[1]"] {
        client.send(packet).await;
    }
    client.send("421[\"echo\"]").await;
    assert_eq!(client.text().await, "431[]");
    server.stop().await;
}

#[tokio::test]
async fn packets_before_a_connect_close_the_connection() {
    let server = TestServer::start(|_| {}).await;
    for packet in ["42[\"echo\"]", "41", "430[]"] {
        let mut client = server.websocket().await;
        client.send(packet).await;
        assert_eq!(client.close_code().await, None, "{packet}");
    }
    server.stop().await;
}

#[tokio::test]
async fn deep_or_undecodable_events_are_answered_and_the_connection_lives() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let deep = |levels: usize| format!("421[\"echo\",{}{}]", "[".repeat(levels), "]".repeat(levels));
    for packet in [deep(32), deep(10_000), "421[\"echo\",\"\\ud800\"]".into(), "421[\"\\udc00\"]".into()] {
        client.send(&packet).await;
        assert_eq!(client.text().await, r#"431["INVALID_PAYLOAD"]"#);
    }
    client.send(&deep(31)).await;
    assert!(client.text().await.starts_with("431[[[["));
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_connect_in_time_is_closed() {
    let server = TestServer::start(|config| config.connect_timeout = Duration::from_millis(100)).await;
    assert_eq!(server.websocket().await.close_code().await, None);
    let mut left = server.connected().await;
    left.send("41").await;
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ClientDisconnected));
    assert_eq!(left.close_code().await, None);
    let mut undecided = server.websocket().await;
    undecided.send("40/slow,").await;
    assert_eq!(undecided.close_code().await, None);
    assert_eq!(server.server.sessions(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_takes_only_its_own_session() {
    let server = TestServer::start(|_| {}).await;
    let mut other = server.connected().await;
    let mut client = server.connected().await;
    client.send("42[\"panic\"]").await;
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ConnectionLost));
    assert_eq!(client.frame().await, None);
    other.send("421[\"echo\"]").await;
    assert_eq!(other.text().await, "431[]");
    assert_eq!(server.server.sessions(), 1);
    server.stop().await;
}
