//! A link to one server: bytes are read and written here, and what they say is taken apart.

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::{
    Lost,
    dialogue::{Dialogue, KEPT_BYTES},
    protocol::{self, Info, Message, Received},
    stream::{Opened, READ_BYTES, Stream},
};

/// A link to a server that has taken our `CONNECT`.
pub(super) struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    incoming: BytesMut,
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
        Self { reader, writer, incoming: opened.incoming, dialogue: Dialogue::default() }
    }

    /// Waits until something was read, or everything was written. May be dropped at any time.
    pub(super) async fn transfer(&mut self) -> Result<(), Lost> {
        let Dialogue { outgoing, .. } = &mut self.dialogue;
        let is_writing = outgoing.has_remaining();
        let write = async {
            self.writer.write_all_buf(outgoing).await?;
            self.writer.flush().await
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
