//! The WebSocket of a session: reads in place, writes the queue in one go, keeps no buffer while idle.

use crate::ws::{Decoder, Item, Violation};
use bytes::{Buf, Bytes};
use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

/// Size of the buffers that the connections of a thread take turns with.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Items that are handled before what they caused is written.
const ITEMS_PER_READ: usize = 128;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
    static WRITE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SCRATCH_BYTES));
}

/// Why nothing can be read any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// The WebSocket of a session.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    decoder: Decoder,
    /// Whether whole frames may be in the decoder.
    stashed: bool,
    /// The rest of a write that the client held up.
    unsent: Bytes,
}

impl Link {
    /// A socket after its opening handshake; `read` is what was read beyond it.
    pub(super) fn new(stream: TcpStream, read: &[u8]) -> Self {
        let mut decoder = Decoder::new();
        decoder.stash(read);
        Self { stream, decoder, stashed: !read.is_empty(), unsent: Bytes::new() }
    }

    /// Whether something that was read is not given out yet.
    pub(super) fn has_read(&self) -> bool {
        self.stashed
    }

    /// Bytes of memory for what was read and is not complete.
    pub(super) fn unread(&self) -> usize {
        self.decoder.allocated()
    }

    /// Reads once and gives out what is whole, until `each` says stop; the rest is given out the next time.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        mut each: impl FnMut(Item<'_>) -> bool,
    ) -> Poll<Result<(), ReadError>> {
        READ.with_borrow_mut(|scratch| {
            let filled = if self.stashed { 0 } else { ready!(self.poll_fill(cx, scratch))? };
            self.stashed = false;
            let read = &mut scratch[..filled];
            let mut position = 0;
            let mut items = 0;
            while let Some(item) = self.decoder.next(read, &mut position, limit)? {
                items += 1;
                if !each(item) || items == ITEMS_PER_READ {
                    self.decoder.stash(&read[position..]);
                    self.stashed = true;
                    break;
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Unlike `try_read`, `poll_read` takes a read that did not fill the buffer for the last one: the next costs no
    /// system call until more has come.
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        match into.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            filled => Poll::Ready(Ok(filled)),
        }
    }

    /// Writes what is unsent and then all that `take` gives, until it says that there is nothing. `written` is told
    /// how much of a write is still to be done, and whether some of it just was.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut Vec<u8>) -> bool,
        mut written: impl FnMut(usize, bool),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                let write = self.poll_write(cx);
                if let Poll::Ready(Ok(bytes)) = write {
                    self.unsent.advance(bytes);
                }
                written(self.unsent.len(), write.is_ready());
                ready!(write)?;
            }
            // An emptied `Bytes` still holds its allocation.
            self.unsent = Bytes::new();
            if !self.write_batch(&mut take)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.try_write(&self.unsent) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_write_ready(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes one batch, as far as the socket takes it; false if there is nothing.
    fn write_batch(&mut self, take: impl FnOnce(&mut Vec<u8>) -> bool) -> io::Result<bool> {
        WRITE.with_borrow_mut(|scratch| {
            scratch.clear();
            if !take(scratch) {
                return Ok(false);
            }
            let written = match self.stream.try_write(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            };
            self.unsent = Bytes::copy_from_slice(&scratch[written..]);
            scratch.shrink_to(SCRATCH_BYTES);
            Ok(true)
        })
    }

    /// Appends frames to what is unsent.
    pub(super) fn append(&mut self, frames: &[u8]) {
        self.unsent = [&self.unsent, frames].concat().into();
    }

    /// Writes a frame that belongs to no session.
    pub(super) async fn write_all(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame).await
    }

    /// Ends our direction, after all was written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Reads and forgets until the client ends its direction.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        READ.with_borrow_mut(|scratch| {
            while ready!(self.poll_fill(cx, scratch)).is_ok() {}
            Poll::Ready(())
        })
    }
}
