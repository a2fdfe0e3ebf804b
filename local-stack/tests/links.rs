//! A stack whose links can be broken, with the real services (`cargo build --release --workspace` builds them).

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{io, net::Ipv4Addr, path::Path};

use local_stack::{Stack, StackConfig, proxy::Condition};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The status line of `/readyz` as a client sees it.
async fn fitness(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn each_link_of_a_running_stack_can_be_broken_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let config = StackConfig {
        port: 0,
        dir: dir.path().to_owned(),
        proxied: true,
        programs: Path::new(env!("CARGO_BIN_EXE_local-stack")).parent().map(Path::to_owned),
        ..StackConfig::default()
    };
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
