//! A stack whose links can be broken and whose clocks can be set, with the real services
//! (`cargo build --release --workspace` builds them).

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{io, net::Ipv4Addr, path::Path, process::Command, time::Duration};

use local_stack::{Stack, StackConfig, proxy::Condition, token};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The status line of a GET as a client sees it.
async fn status_of(port: u16, path: &str, token: &str) -> io::Result<String> {
    ask(port, &format!("GET {path}"), token, "").await
}

async fn ask(port: u16, request: &str, token: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let length = body.len();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

async fn fitness(port: u16) -> io::Result<String> {
    status_of(port, "/readyz", "").await
}

fn config(dir: &TempDir) -> StackConfig {
    StackConfig {
        port: 0,
        dir: dir.path().to_owned(),
        programs: Path::new(env!("CARGO_BIN_EXE_local-stack")).parent().map(Path::to_owned),
        ..StackConfig::default()
    }
}

#[tokio::test]
async fn the_clock_of_a_running_service_can_be_set_and_set_right() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&StackConfig { has_clocks: true, ..config(&dir) }).await.unwrap();
    let (port, clocks) = (stack.manifest().gateways[0].port, stack.clocks().unwrap());
    let token = token::service_token(&stack.manifest().jwt_secret).unwrap();
    for (offset_s, is_valid) in [(0, true), (86_400, false), (-86_400, false), (0, true)] {
        clocks.set("gateway-0", offset_s).unwrap();
        // It has expired, or was issued in the future.
        let noticed = async {
            while status_of(port, "/api/v1/matches/demo", &token).await.unwrap().contains(" 401 ") == is_valid {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, noticed).await.unwrap();
    }
    stack.stop().await;
}

#[tokio::test]
async fn messages_are_sent_as_ever_whatever_the_clock_of_a_service_says() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&StackConfig { has_clocks: true, ..config(&dir) }).await.unwrap();
    let (port, clocks) = (stack.manifest().gateways[0].port, stack.clocks().unwrap());
    let mut token = Command::new(env!("CARGO_BIN_EXE_local-stack"));
    let token = token.args(["token", "alice", "--dir"]).arg(dir.path()).output().unwrap().stdout;
    let token = String::from_utf8(token).unwrap();
    // A gateway that is more than 5 s behind takes the token to be of the future.
    for (name, offset_s) in [("chat-service-0", 3600), ("chat-service-0", -3600), ("gateway-0", -4), ("gateway-0", 4)] {
        clocks.set(name, offset_s).unwrap();
        let until = Instant::now() + Duration::from_secs(2);
        // It notices within a second.
        while Instant::now() < until {
            let began = Instant::now();
            let sending = ask(port, "POST /api/v1/matches/demo/messages", token.trim(), r#"{"message":"hello"}"#);
            assert_eq!(sending.await.unwrap(), "HTTP/1.1 201 Created", "{name} {offset_s}");
            assert!(began.elapsed() < Duration::from_secs(1), "{name} {offset_s}: {:?}", began.elapsed());
            sleep(Duration::from_millis(100)).await;
        }
        clocks.set(name, 0).unwrap();
    }
    stack.stop().await;
}

#[tokio::test]
async fn each_link_of_a_running_stack_can_be_broken_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let config = StackConfig { proxied: true, ..config(&dir) };
    let stack = Stack::start(&config).await.unwrap();
    let names: Vec<&str> = stack.links().names().collect();
    let expected = [
        "chat-service-0>nats",
        "chat-service-0>postgres",
        "clients>gateway-0",
        "gateway-0>chat-service-0",
        "gateway-0>milestone-service-0",
        "gateway-0>nats",
        "gateway-0>signaling-service-0",
        "milestone-service-0>chat-service-0",
        "milestone-service-0>nats",
        "milestone-service-0>redis",
        "signaling-service-0>chat-service-0",
        "signaling-service-0>milestone-service-0",
        "signaling-service-0>nats",
        "signaling-service-0>redis",
    ];
    assert_eq!(names, expected);

    let port = stack.manifest().gateways[0].port;
    let clients = stack.links().get("clients>gateway-0").unwrap();
    assert_eq!(clients.port(), port);
    assert_eq!(fitness(port).await.unwrap(), "HTTP/1.1 200 OK");
    clients.set(Condition::Cut);
    assert!(fitness(port).await.is_err());
    clients.set(Condition::Open);
    assert_eq!(fitness(port).await.unwrap(), "HTTP/1.1 200 OK");
    stack.stop().await;
}
