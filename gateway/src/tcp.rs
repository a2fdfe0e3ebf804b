//! A client's TCP connection while hyper has it: it notes when a request begins to arrive. After an upgrade it is bare
//! again.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Whether bytes have come from the client since this was last cleared. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Arrival(Arc<AtomicBool>);

impl Arrival {
    /// From now on only later bytes count.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether bytes have come.
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A TCP connection that notes the arrival of bytes.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    arrival: Arrival,
}

impl Watched {
    /// Notes in `arrival` when bytes come from the stream.
    pub fn new(stream: TcpStream, arrival: Arrival) -> Self {
        Self { stream, arrival }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.arrival.note();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bare socket of an upgraded connection, and what was read from it already. `None` for another kind of connection.
pub fn bare(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    match upgraded.downcast::<TokioIo<Watched>>() {
        Ok(parts) => Some((parts.io.into_inner().stream, parts.read_buf)),
        // A connection that this gateway has opened.
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
            Some((parts.io.into_inner(), parts.read_buf))
        }
    }
}
