//! A small Socket.IO client: Engine.IO v4 and Socket.IO v5 over WebSocket, the namespace `/`, text only.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use thiserror::Error;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

pub mod packet;

use packet::{Heartbeat, Malformed, Packet, refusal_code};

/// How long TCP, WebSocket and Socket.IO handshakes may take together.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long one frame may take to be written: after that the peer counts as gone.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Ten thousand connections of 128 KiB each, the library's default, would be 1.3 GB.
const READ_BUFFER: usize = 4 * 1024;

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectFailure {
    /// The server cannot be reached, or went away during the handshake: worth another try.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered `CONNECT_ERROR` with this code: the official client gives up here.
    #[error("refused with {0}")]
    Refused(String),
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub struct Closed;

/// A gateway, resolved.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where REST is, without a slash at the end.
    base_url: String,
    authority: String,
    address: SocketAddr,
}

impl Endpoint {
    /// Resolves `http://host:port`.
    ///
    /// # Errors
    /// If it is no such URL or the name is unknown.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        let parsed = reqwest::Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        anyhow::ensure!(parsed.scheme() == "http", "{url}: only http:// is spoken here");
        let host = parsed.host_str().with_context(|| format!("{url} names no host"))?;
        let port = parsed.port_or_known_default().unwrap_or(80);
        let authority = format!("{host}:{port}");
        let found = tokio::net::lookup_host(&authority).await.with_context(|| format!("cannot resolve {host}"))?;
        // A name with both kinds of addresses: the source addresses that can be spread over are IPv4.
        let address = found.min_by_key(SocketAddr::is_ipv6).with_context(|| format!("cannot resolve {host}"))?;
        Ok(Self { base_url: format!("http://{authority}"), authority, address })
    }

    /// Resolves all of these.
    pub async fn resolve_all(urls: &[String]) -> anyhow::Result<Vec<Arc<Self>>> {
        let mut endpoints = Vec::new();
        for url in urls {
            endpoints.push(Arc::new(Self::resolve(url).await?));
        }
        Ok(endpoints)
    }

    /// Where a match is, by REST.
    pub fn match_url(&self, match_id: &str) -> String {
        format!("{}/api/v1/matches/{match_id}", self.base_url)
    }
}

/// A connection on which the namespace `/` has accepted the user.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<TcpStream>,
    heartbeat: Heartbeat,
}

impl Connection {
    /// Connects as the user of `token`, from `source` if given.
    pub async fn open(endpoint: &Endpoint, source: Option<IpAddr>, token: &str) -> Result<Self, ConnectFailure> {
        let handshake = async {
            let mut connection = Self::open_transport(endpoint, source).await?;
            connection.authenticate(token).await?;
            Ok(connection)
        };
        timeout(HANDSHAKE_LIMIT, handshake).await.unwrap_or_else(|elapsed| Err(unreachable(&elapsed)))
    }

    /// TCP, WebSocket and the Engine.IO open packet: the first half of [`open`](Self::open).
    pub async fn open_transport(endpoint: &Endpoint, source: Option<IpAddr>) -> Result<Self, ConnectFailure> {
        let stream = dial(endpoint.address, source).await.map_err(|error| unreachable(&error))?;
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", endpoint.authority);
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
        let (socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config))
            .await
            .map_err(|error| unreachable(&error))?;
        let mut connection = Self { socket, heartbeat: Heartbeat { interval_ms: 0, timeout_ms: 0 } };
        let text = connection.receive().await.map_err(|closed| unreachable(&closed))?;
        match Packet::parse(&text) {
            Ok(Packet::Open(heartbeat)) => Ok(Self { heartbeat, ..connection }),
            _ => Err(unreachable(&Malformed)),
        }
    }

    /// CONNECT and its answer: the second half of [`open`](Self::open).
    pub async fn authenticate(&mut self, token: &str) -> Result<(), ConnectFailure> {
        self.connect(&format!(r#"{{"token":"{token}"}}"#)).await.map(drop)
    }

    /// CONNECT with `auth`, a JSON object; returns the JSON of its answer.
    pub async fn connect(&mut self, auth: &str) -> Result<String, ConnectFailure> {
        self.send(format!("40{auth}")).await.map_err(|closed| unreachable(&closed))?;
        loop {
            let text = self.receive().await.map_err(|closed| unreachable(&closed))?;
            match Packet::parse(&text).map_err(|error| unreachable(&error))? {
                Packet::Connected(answer) => return Ok(answer.to_owned()),
                Packet::Refused(body) => return Err(ConnectFailure::Refused(refusal_code(body))),
                Packet::Ping => self.send("3".to_owned()).await.map_err(|closed| unreachable(&closed))?,
                Packet::Close | Packet::Disconnected => return Err(unreachable(&Closed)),
                _ => {}
            }
        }
    }

    /// How long the server may be silent while it lives.
    pub fn silence_limit(&self) -> Duration {
        Duration::from_millis(self.heartbeat.interval_ms + self.heartbeat.timeout_ms)
    }

    /// Writes one text frame.
    pub async fn send(&mut self, text: String) -> Result<(), Closed> {
        match timeout(WRITE_LIMIT, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Closed),
        }
    }

    /// The next text frame. Nothing is lost if it is cancelled.
    pub async fn receive(&mut self) -> Result<Utf8Bytes, Closed> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closed),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Leaves in order, as the official client's `disconnect()` does.
    pub async fn close(mut self) {
        if self.send("41".to_owned()).await.is_ok() {
            // The peer may be gone already; there is nothing left to do about it.
            let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
        }
    }
}

async fn dial(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn unreachable(error: &impl ToString) -> ConnectFailure {
    ConnectFailure::Unreachable(error.to_string())
}
