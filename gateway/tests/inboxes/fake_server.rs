//! A server that says what a test wants it to.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
};

pub(crate) struct FakeServer {
    pub(crate) url: String,
    listener: TcpListener,
}

/// One client of it, whose pings are answered.
pub(crate) struct Client {
    answering: JoinHandle<()>,
    words: mpsc::Sender<String>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

pub(crate) async fn start() -> FakeServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    FakeServer { url: format!("nats://{}", listener.local_addr().unwrap()), listener }
}

impl FakeServer {
    #[allow(clippy::disallowed_methods)]
    pub(crate) async fn accept(&mut self) -> Client {
        let (stream, _) = self.listener.accept().await.unwrap();
        let (words, said) = mpsc::channel(1);
        Client { answering: tokio::spawn(answer(stream, said)), words }
    }

    /// Takes a client in, says these words, and waits until it has gone.
    pub(crate) async fn refuse(&mut self, words: &str) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(b"INFO {}\r\n").await.unwrap();
        assert!(answer_pings(&mut reader, &mut writer).await);
        writer.write_all(words.as_bytes()).await.unwrap();
        while matches!(reader.read(&mut [0; 4_096]).await, Ok(1..)) {}
    }
}

impl Client {
    pub(crate) async fn say(&mut self, words: &str) {
        self.words.send(words.to_owned()).await.unwrap();
    }

    /// The connection stays open.
    pub(crate) fn fall_silent(&mut self) {
        let (words, _) = mpsc::channel(1);
        self.words = words;
    }
}

async fn answer(stream: TcpStream, mut words: mpsc::Receiver<String>) {
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(b"INFO {}\r\n").await.unwrap();
    loop {
        tokio::select! {
            said = words.recv() => match said {
                Some(words) => writer.write_all(words.as_bytes()).await.unwrap(),
                None => return std::future::pending().await,
            },
            goes_on = answer_pings(&mut reader, &mut writer) => if !goes_on { return },
        }
    }
}

async fn answer_pings(reader: &mut OwnedReadHalf, writer: &mut OwnedWriteHalf) -> bool {
    let mut buffer = [0; 4_096];
    let Ok(length @ 1..) = reader.read(&mut buffer).await else { return false };
    let pings = String::from_utf8_lossy(&buffer[..length]).matches("PING\r\n").count();
    writer.write_all("PONG\r\n".repeat(pings).as_bytes()).await.is_ok()
}
