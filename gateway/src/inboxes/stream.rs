//! A connection to one server: TCP, TLS where it is wanted, and the handshake of the protocol.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};

use super::{
    lost::Lost,
    protocol::{self, Info, Received},
    servers::Server,
};

/// How long one server may take until it is ready. A server that hangs accepts connections, and says nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Read at once at least: what is read is handled before anything else is, so it should not be too much.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// Bytes to and from a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A server that has taken our `CONNECT`.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    /// What was read already.
    pub(super) incoming: BytesMut,
    pub(super) info: Info,
}

/// Connects to a server.
pub(super) async fn open(server: &Server, name: &str) -> Result<Opened, Lost> {
    timeout(CONNECT_TIMEOUT, handshake(server, name)).await.unwrap_or(Err(Lost::Silent))
}

async fn handshake(server: &Server, name: &str) -> Result<Opened, Lost> {
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
    tcp.set_nodelay(true)?;
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    let mut incoming = BytesMut::with_capacity(READ_BYTES);
    let info = loop {
        if let Reply::Info(info) = read(&mut stream, &mut incoming).await? {
            break *info;
        }
    };
    if server.tls || info.tls_required {
        // What came in the clear is not taken for what comes under TLS.
        incoming.clear();
        stream = secured(stream, &server.host).await?;
    }
    let mut hello = Vec::new();
    protocol::connect(&mut hello, name);
    hello.extend_from_slice(protocol::PING);
    stream.write_all(&hello).await?;
    stream.flush().await?;
    while !matches!(read(&mut stream, &mut incoming).await?, Reply::Pong) {}
    Ok(Opened { stream, incoming, info })
}

/// What matters of the server's answers before it is ready.
enum Reply {
    Info(Box<Info>),
    Pong,
    Other,
}

async fn read(stream: &mut Box<dyn Stream>, incoming: &mut BytesMut) -> Result<Reply, Lost> {
    loop {
        if let Some((received, length)) = protocol::parse(incoming)? {
            let reply = match received {
                Received::Info(info) => Reply::Info(info),
                Received::Pong => Reply::Pong,
                Received::Error(error) => return Err(Lost::refused(error)),
                _ => Reply::Other,
            };
            let _ = incoming.split_to(length);
            return Ok(reply);
        }
        if stream.read_buf(incoming).await? == 0 {
            return Err(Lost::Closed);
        }
    }
}

/// Under TLS, by the certificates that this machine trusts (`SSL_CERT_FILE` names others).
async fn secured(stream: Box<dyn Stream>, host: &str) -> Result<Box<dyn Stream>, Lost> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
