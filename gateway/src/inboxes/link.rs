//! A link to one server: bytes are read and written here, and what they say is taken apart.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::{
    dialogue::{Dialogue, KEPT_BYTES},
    lost::Lost,
    protocol::{self, Info, Message, Received},
    stream::{Opened, READ_BYTES, Stream},
};

/// A link to a server that has taken our `CONNECT`.
pub(super) struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    incoming: BytesMut,
    /// What was written may still lie in a buffer of TLS.
    is_unflushed: bool,
    pub(super) dialogue: Dialogue,
}

/// What a server said besides messages.
#[derive(Debug, Default)]
pub(super) struct News {
    /// It has all subscriptions with a smaller number.
    pub(super) proven: Option<u64>,
    /// It told of itself and its cluster.
    pub(super) info: Option<Info>,
}

impl Link {
    pub(super) fn new(opened: Opened) -> Self {
        let (reader, writer) = tokio::io::split(opened.stream);
        Self { reader, writer, incoming: opened.incoming, is_unflushed: false, dialogue: Dialogue::default() }
    }

    /// Waits until something was read, or everything was written. May be dropped at any time.
    pub(super) async fn transfer(&mut self) -> Result<(), Lost> {
        let Dialogue { outgoing, .. } = &mut self.dialogue;
        let is_writing = self.is_unflushed || outgoing.has_remaining();
        let write = async {
            // A flush that something was read before is still to be done, though nothing more is to be written.
            self.is_unflushed = true;
            self.writer.write_all_buf(outgoing).await?;
            self.writer.flush().await?;
            self.is_unflushed = false;
            io::Result::Ok(())
        };
        self.incoming.reserve(READ_BYTES);
        tokio::select! {
            read = self.reader.read_buf(&mut self.incoming) => {
                if read? == 0 {
                    return Err(Lost::Closed);
                }
                self.dialogue.heard();
                Ok(())
            }
            written = write, if is_writing => {
                written?;
                self.dialogue.written();
                Ok(())
            }
        }
    }

    /// Takes what was read: messages are given away at once, where they are.
    pub(super) fn receive(&mut self, mut hear: impl FnMut(&Message<'_>)) -> Result<News, Lost> {
        let mut news = News::default();
        let mut taken = 0;
        while let Some((received, length)) = protocol::parse(&self.incoming[taken..])? {
            taken += length;
            match received {
                Received::Message(message) => hear(&message),
                Received::Ping => self.dialogue.answer_ping(),
                Received::Pong => news.proven = Some(self.dialogue.answered()),
                Received::Info(info) => news.info = Some(*info),
                Received::Error(error) => return Err(Lost::refused(error)),
                Received::Ok => {}
            }
        }
        self.incoming.advance(taken);
        if self.incoming.is_empty() && self.incoming.capacity() > KEPT_BYTES {
            self.incoming = BytesMut::new();
        }
        Ok(news)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::{
        io::{BufWriter, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_written_is_flushed_also_when_something_was_read_before_it_was() {
        // As TLS does: it takes everything, and passes on only as much as the socket takes.
        let (ours, mut server) = duplex(16);
        let stream = Box::new(BufWriter::with_capacity(1024, ours));
        let mut link = Link::new(Opened { stream, incoming: BytesMut::new(), info: Info::default() });
        link.dialogue.command(b"SUB user.alice 1\r\n", 2);
        assert!(link.transfer().now_or_never().is_none(), "the flush waits, and is given up");
        let mut heard = [0; 24];
        let exchange = async { tokio::join!(link.transfer(), server.read_exact(&mut heard)) };
        let (transferred, read) = timeout(Duration::from_secs(1), exchange).await.unwrap();
        assert_eq!((transferred, read.unwrap()), (Ok(()), 24));
        assert_eq!(&heard, b"SUB user.alice 1\r\nPING\r\n");
    }
}
