//! A server for the official conformance suites: `--suite eio|sio|client|plain --port N`. Prints its port once it
//! listens.

mod client;
mod eio;
mod plain;
mod sessions;
mod sio;

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use axum::Router;
use clap::{Parser, ValueEnum};
use gateway::{cors::Origins, listener};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Suite {
    /// Engine.IO protocol, version 4.
    Eio,
    /// Socket.IO protocol, version 5.
    Sio,
    /// The tests of the npm package socket.io-client.
    Client,
    /// Token, echo and nothing else.
    Plain,
}

/// Serves what a conformance suite expects.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    suite: Suite,
    /// 0 = a free one.
    #[arg(long)]
    port: u16,
    /// The address to listen on; `0.0.0.0` lets other machines in.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Origins allowed to use the HTTP side (suite plain), e.g. `*`.
    #[arg(long, default_value = "")]
    cors: Origins,
    /// Connection state recovery (suite plain).
    #[arg(long)]
    recovery: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let router: Router = match arguments.suite {
        Suite::Eio => eio::router(),
        Suite::Sio => sio::router(),
        Suite::Client => client::router(),
        Suite::Plain => plain::router(arguments.cors, arguments.recovery),
    };
    let listener = TcpListener::bind((arguments.host, arguments.port)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    let shutdown = CancellationToken::new();
    listener::serve(listener, router, listener::Config::default(), shutdown).await;
    Ok(())
}
