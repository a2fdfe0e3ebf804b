//! What all sessions together may hold: unfinished messages, bodies, and what clients do not read.

use crate::client::{Client, frame};
use crate::support::{Seen, TestServer, soon};
use gateway::{limits::Budget, socketio::CloseReason};
use std::{sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What all may hold in these tests, beside the 8 KB that each may always hold.
const HELD: usize = 1_000_000;

/// So many unfinished messages of 60,000 bytes are more than all may hold, and twenty of them too many.
const TOO_MANY: usize = 40;

async fn server() -> TestServer {
    TestServer::start(|config| config.engine.held = Arc::new(Budget::new(HELD))).await
}

/// A WebSocket that is connected, also while others are closed.
async fn connected(server: &TestServer) -> Client {
    let mut client = server.websocket().await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40"));
    client
}

/// Waits until a socket is gone, and says why.
async fn gone(server: &TestServer) -> CloseReason {
    loop {
        if let Seen::Disconnected(_, reason) = server.seen().await {
            return reason;
        }
    }
}

/// Sends the start of a message of 60,000 bytes to so many sessions; the last byte is missing.
async fn unfinished(server: &TestServer, sessions: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..sessions {
        let mut client = connected(server).await;
        let whole = frame(0x81, &vec![b'x'; 60_000]);
        client.raw(&whole[..whole.len() - 1]).await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn unfinished_messages_of_all_are_bounded_and_the_one_too_many_is_told_to_try_later() {
    let server = server().await;
    let mut clients = unfinished(&server, TOO_MANY).await;
    for _ in 0..20 {
        assert_eq!(gone(&server).await, CloseReason::OverBudget);
    }
    let mut last = clients.pop().unwrap();
    assert_eq!(last.close_code().await, Some(1013));
    server.stop().await;
}

#[tokio::test]
async fn one_that_sends_whole_messages_is_served_while_others_hold_all_that_there_is() {
    let server = server().await;
    let _clients = unfinished(&server, TOO_MANY).await;
    let mut client = connected(&server).await;
    for text in ["x".repeat(3_900), "y".repeat(3_000)] {
        client.send(&format!("421[\"echo\",\"{text}\"]")).await;
        assert_eq!(client.text().await, format!("431[\"{text}\"]"));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_held_is_free_again_when_its_holders_have_gone() {
    let server = server().await;
    for _ in 0..3 {
        let clients = unfinished(&server, 4).await;
        drop(clients);
        for _ in 0..4 {
            assert_eq!(gone(&server).await, CloseReason::ConnectionLost);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_do_not_end_are_bounded() {
    let server = server().await;
    let mut statuses = Vec::new();
    let mut open = Vec::new();
    for _ in 0..TOO_MANY {
        let polling = server.polling().await;
        let head = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n",
            polling.sid
        );
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'4'; 59_000]).await.unwrap();
        open.push((stream, polling.sid));
    }
    for (stream, sid) in open {
        let refused = soon(async {
            let mut first = [0; 12];
            tokio::select! {
                read = stream.peek(&mut first) => read.is_ok_and(|read| first[..read].ends_with(b"400")),
                () = tokio::time::sleep(Duration::from_millis(50)) => false,
            }
        });
        statuses.push((refused.await, sid));
    }
    let refused = statuses.iter().filter(|(refused, _)| *refused).count();
    assert!(refused >= 20, "{refused} were refused");
    server.stop().await;
}

#[tokio::test]
async fn what_clients_do_not_read_is_bounded_for_all_together() {
    let server = server().await;
    let mut clients = Vec::new();
    let mut emitters = Vec::new();
    for _ in 0..20 {
        clients.push(connected(&server).await);
        emitters.push(server.emitter());
    }
    let text = format!("\"{}\"", "x".repeat(10_000));
    // More than the buffers of the system between them hold.
    for _ in 0..2_000 {
        let open: Vec<_> = emitters.iter().filter(|emitter| !emitter.is_closed()).collect();
        let held: usize = open.iter().map(|emitter| emitter.queued_bytes()).sum();
        assert!(held <= HELD + open.len() * (8_192 + text.len() + 64), "{held} bytes held by {}", open.len());
        for emitter in open {
            let _ = emitter.emit("news", &text);
        }
        tokio::task::yield_now().await;
    }
    let closed = emitters.iter().filter(|emitter| emitter.is_closed()).count();
    assert!(closed >= 10, "{closed} were cut off");
    assert_eq!(gone(&server).await, CloseReason::QueueFull);
    drop(clients);
    server.stop().await;
}
