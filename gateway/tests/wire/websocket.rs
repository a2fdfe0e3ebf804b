//! RFC 6455 on the wire: control frames, fragments and violations.

use crate::client::{Frame, frame};
use crate::support::{Seen, TestServer};
use gateway::socketio::CloseReason;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.websocket().await;
    client.raw(&frame(0x89, b"are you there")).await;
    assert_eq!(client.frame().await, Some(Frame { opcode: 10, payload: b"are you there".to_vec() }));
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_by_the_last_and_closes_nothing() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.websocket().await;
    let pings: Vec<u8> = (0..5000_u16).flat_map(|number| frame(0x89, &number.to_be_bytes())).collect();
    client.raw(&pings).await;
    let mut frames = 0;
    loop {
        let pong = client.frame().await.unwrap();
        frames += 1;
        if pong.payload == 4999_u16.to_be_bytes() {
            break;
        }
    }
    assert!(frames <= 5000);
    server.stop().await;
}

#[tokio::test]
async fn fragments_and_single_bytes_make_a_message() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let text = "421[\"echo\",\"€\"]".as_bytes();
    let cut = text.len() - 4;
    let bytes = [frame(0x01, &text[..cut]), frame(0x89, b"!"), frame(0x00, b""), frame(0x80, &text[cut..])].concat();
    for byte in bytes {
        client.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.frame().await.unwrap().opcode, 10);
    assert_eq!(client.text().await, "431[\"€\"]");
    server.stop().await;
}

#[tokio::test]
async fn the_closing_handshake_echoes_the_code() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    client.raw(&frame(0x88, b"\x0f\xa1bye")).await;
    assert_eq!(client.close_code().await, Some(4001));
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ClientClosed));
    server.stop().await;
}

#[tokio::test]
async fn violations_close_with_their_code() {
    let server = TestServer::start(|_| {}).await;
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("reserved bit", frame(0xc1, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("no mask", b"\x81\x014".to_vec(), 1002),
        ("long ping", frame(0x89, &[0; 126]), 1002),
        ("continuation without a start", frame(0x80, b"x"), 1002),
        ("reserved close code", frame(0x88, b"\x03\xed"), 1002),
        ("not UTF-8", frame(0x81, b"4\xff"), 1007),
        ("too large", frame(0x81, &vec![b'4'; 64 * 1024 + 1]), 1009),
    ];
    for (name, bytes, code) in cases {
        let mut client = server.connected().await;
        client.raw(&bytes).await;
        assert_eq!(client.close_code().await, Some(code), "{name}");
        let reason = if code == 1009 { CloseReason::PayloadTooLarge } else { CloseReason::ProtocolError };
        assert_eq!(server.seen().await, Seen::Disconnected("/".into(), reason), "{name}");
    }
    assert_eq!(server.server.sessions(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_message_of_the_largest_size_passes() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let wrapped = r#"421["echo",""]"#.len();
    let largest = format!(r#"421["echo","{}"]"#, "x".repeat(64 * 1024 - wrapped));
    client.send(&largest).await;
    assert_eq!(client.text().await.len(), largest.len() - r#""echo","#.len());
    server.stop().await;
}

#[tokio::test]
async fn frames_that_came_with_the_handshake_are_not_lost() {
    let server = TestServer::start(|_| {}).await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend(frame(0x81, b"40"));
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await.unwrap();
    assert_eq!(server.seen().await, Seen::Connected("/".into()));
    drop(stream);
    assert_eq!(server.seen().await, Seen::Disconnected("/".into(), CloseReason::ConnectionLost));
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_does_not_exist_cannot_be_upgraded() {
    let server = TestServer::start(|_| {}).await;
    let request = "GET /socket.io/?EIO=4&transport=websocket&sid=none HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, close\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let response = server.raw(request.as_bytes()).await;
    assert_eq!((response.status, &*response.body), (400, r#"{"code":1,"message":"Session ID unknown"}"#));
    let wrong_version = request.replace("EIO=4", "EIO=3").replace("&sid=none", "");
    let response = server.raw(wrong_version.as_bytes()).await;
    assert_eq!((response.status, &*response.body), (400, r#"{"code":5,"message":"Unsupported protocol version"}"#));
    server.stop().await;
}

#[tokio::test]
async fn what_is_emitted_in_one_turn_is_written_at_once() {
    let server = TestServer::start(|_| {}).await;
    let mut client = server.connected().await;
    let event = gateway::socketio::Packet::event("shared", "1");
    let ack = server.emitter().ack_packet(3, "");
    server.emitter().send_all([ack, event.clone(), event]).unwrap();
    let mut bytes = [0; 64];
    let read = client.stream.read(&mut bytes).await.unwrap();
    assert_eq!(bytes[..7], *b"\x81\x05433[]");
    assert!(String::from_utf8_lossy(&bytes[..read]).ends_with("42[\"shared\",1]"));
    assert_eq!(read, 2 + 5 + 2 * (2 + 14));
    server.stop().await;
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_taken() {
    let server = TestServer::start(|_| {}).await;
    let request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: one, two\r\n\r\n";
    let request = [request.as_bytes(), &frame(0x88, b"")].concat();
    let response = server.raw(&request).await;
    assert_eq!(response.status, 101);
    assert!(response.head.contains("sec-websocket-protocol: one"), "{}", response.head);
    server.stop().await;
}
