//! A server on a free port, and raw HTTP requests to it.

use crate::client::Client;
use gateway::{
    engineio, listener,
    socketio::{Accept, Application, CloseReason, Config, Connect, Emitter, Event, Refuse, Server},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// No wait in these tests takes longer unless something is broken.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits for something that has to happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("should have happened by now")
}

/// What the application saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected(String),
    Event(String),
    Ack(u64, String),
    Disconnected(String, CloseReason),
}

/// Connects everybody but `{"refuse":…}`, acks and echoes.
pub(crate) struct App {
    seen: mpsc::Sender<Seen>,
    pub(crate) sockets: std::sync::Mutex<Vec<Arc<Socket>>>,
    /// Lets `/slow` in.
    pub(crate) admit: Notify,
}

pub(crate) struct Socket {
    pub(crate) emitter: Emitter,
}

impl App {
    fn saw(&self, seen: Seen) {
        self.seen.try_send(seen).expect("the test reads what is seen");
    }
}

impl Application for App {
    type Socket = Socket;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        match (request.namespace, request.auth) {
            ("/slow", _) => self.admit.notified().await,
            ("/" | "/chat", r#"{"refuse":"error"}"#) => {
                let data = Some(r#"{"code":"NO"}"#.to_owned());
                return Err(Refuse::Error { message: "not \"you\"".to_owned(), data });
            }
            ("/" | "/chat", r#"{"refuse":"close"}"#) => return Err(Refuse::Close),
            ("/" | "/chat", _) => {}
            _ => return Err(Refuse::InvalidNamespace),
        }
        let pid = (request.auth == r#"{"pid":1}"#).then(|| "p-1".to_owned());
        Ok(Accept { socket: Arc::new(Socket { emitter: request.emitter }), pid })
    }

    fn connected(&self, socket: &Arc<Socket>) {
        self.saw(Seen::Connected(socket.emitter.namespace().to_owned()));
        self.sockets.lock().unwrap().push(Arc::clone(socket));
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        let emitter = &socket.emitter;
        let args = event.args.raw();
        match (event.name, event.ack) {
            ("panic", _) => panic!("as asked"),
            (_, Some(id)) if event.is_invalid() => emitter.ack(id, r#""INVALID_PAYLOAD""#).unwrap(),
            ("echo", Some(id)) => drop(emitter.ack_binary(id, args, &event.attachments)),
            ("echo", None) => drop(emitter.emit_binary("echo", args, &event.attachments)),
            ("ask", _) => emitter.emit_with_ack(7, "ask", args).unwrap(),
            ("close", _) => {
                emitter.emit("last", "").unwrap();
                emitter.disconnect_transport();
                assert!(emitter.emit("too late", "").is_err());
            }
            _ => self.saw(Seen::Event(format!("{} {args}", event.name))),
        }
    }

    fn ack(&self, _: &Arc<Socket>, id: u64, answer: Event<'_>) {
        self.saw(Seen::Ack(id, answer.args.raw().to_owned()));
    }

    fn disconnected(&self, socket: &Arc<Socket>, reason: CloseReason) {
        assert!(socket.emitter.is_closed());
        self.saw(Seen::Disconnected(socket.emitter.namespace().to_owned(), reason));
    }
}

/// A server on a free port.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server<App>,
    seen: Mutex<mpsc::Receiver<Seen>>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl TestServer {
    /// With the production's configuration, changed by `change`.
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(change, listener::Config::default()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config), listener: listener::Config) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let (seen, receiver) = mpsc::channel(100_000);
        let app = App { seen, sockets: std::sync::Mutex::default(), admit: Notify::new() };
        let server = Server::new(config, Arc::new(app));
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let stop = CancellationToken::new();
        #[allow(clippy::disallowed_methods, reason = "a test waits for it in `stop`")]
        let accepting = tokio::spawn(listener::serve(socket, server.router(), listener, stop.clone()));
        Self { address, server, seen: Mutex::new(receiver), stop, accepting }
    }

    /// The next thing that the application saw.
    pub(crate) async fn seen(&self) -> Seen {
        soon(async { self.seen.lock().await.recv().await }).await.unwrap()
    }

    /// The emitter of the socket that connected last.
    pub(crate) fn emitter(&self) -> Emitter {
        self.server.application().sockets.lock().unwrap().last().unwrap().emitter.clone()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.server.shutdown(Duration::ZERO)).await;
        soon(self.accepting).await.unwrap();
    }

    /// A WebSocket of its own, after the open packet.
    pub(crate) async fn websocket(&self) -> Client {
        let mut client = Client::open(self.address, "").await;
        let open = client.text().await;
        assert!(open.starts_with(r#"0{"sid":""#), "{open}");
        client
    }

    /// A WebSocket that is connected to `/`.
    pub(crate) async fn connected(&self) -> Client {
        let mut client = self.websocket().await;
        client.send("40").await;
        let reply = client.text().await;
        assert!(reply.starts_with(r#"40{"sid":""#), "{reply}");
        assert_eq!(self.seen().await, Seen::Connected("/".to_owned()));
        client
    }

    /// A request without a session.
    pub(crate) async fn request(&self, method: &str, query: &str, body: &str) -> Response {
        let request = format!(
            "{method} /socket.io/?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.raw(request.as_bytes()).await
    }

    /// Bytes of a client's own; reads until the server closes.
    pub(crate) async fn raw(&self, request: &[u8]) -> Response {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        Response::parse(&answer)
    }

    /// A polling session after its open packet.
    pub(crate) async fn polling(&self) -> Polling<'_> {
        let response = self.request("GET", "EIO=4&transport=polling", "").await;
        assert_eq!(response.status, 200);
        let sid = response.body.split('"').nth(3).unwrap().to_owned();
        Polling { server: self, sid }
    }
}

/// A polling session.
pub(crate) struct Polling<'a> {
    pub(crate) server: &'a TestServer,
    pub(crate) sid: String,
}

impl Polling<'_> {
    fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(crate) async fn get(&self) -> Response {
        self.server.request("GET", &self.query(), "").await
    }

    pub(crate) async fn post(&self, body: &str) -> Response {
        self.server.request("POST", &self.query(), body).await
    }
}

/// An answer over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    fn parse(answer: &[u8]) -> Self {
        let answer = String::from_utf8_lossy(answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// Heartbeat times for tests that wait for them.
pub(crate) fn fast(config: &mut engineio::Config) {
    config.ping_interval = Duration::from_millis(300);
    config.ping_timeout = Duration::from_millis(200);
}
