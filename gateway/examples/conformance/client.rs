//! The suite of the npm package socket.io-client: what its test server answers.

use crate::sessions::{Opened, Sessions};
use axum::{Router, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use gateway::{
    engineio::{self, KeptRequest},
    socketio::{Accept, Application, CloseReason, Config, Connect, Emitter, Event, Packet, Refuse, Server},
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What the suite's buffers hold.
const BUFFER: Bytes = Bytes::from_static(b"asdfasdf");

/// A placeholder for the only attachment.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// Every opening takes this long, so that the client's shortest time-outs fire.
const OPENING_DELAY: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Suite {
    sessions: Arc<Sessions>,
}

struct Socket {
    emitter: Emitter,
    handshake: Value,
    sessions: Arc<Sessions>,
    pid: String,
    /// What a recovered client is sent first.
    missed: Vec<Packet>,
}

impl Application for Suite {
    type Socket = Socket;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        let handshake = handshake(&request);
        let error = |message: &str| Refuse::Error { message: message.to_owned(), data: None };
        match request.namespace {
            "/" if handshake["query"].get("fail").is_some() => {
                return Err(error("Auth failed (main namespace)"));
            }
            "/no" => return Err(error("Auth failed (custom namespace)")),
            "/" | "/foo" | "/timeout_socket" | "/valid" | "/asd" | "/abc" => {}
            _ => return Err(Refuse::InvalidNamespace),
        }
        let emitter = request.emitter;
        let Opened { pid, missed } = self.sessions.open(&emitter, request.auth).ok_or(Refuse::Close)?;
        let (sessions, told) = (Arc::clone(&self.sessions), pid.clone());
        Ok(Accept { socket: Arc::new(Socket { emitter, handshake, sessions, pid, missed }), pid: Some(told) })
    }

    fn connected(&self, socket: &Arc<Socket>) {
        let _ = socket.emitter.send_all(socket.missed.iter().cloned());
        if socket.emitter.namespace() == "/abc" {
            socket.emit("handshake", &socket.handshake.to_string());
        }
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        match (socket.emitter.namespace(), event.ack) {
            ("/", id) => {
                // A client that retries wants an ack for each event, also for those that have none.
                socket.event(&event);
                if let Some(id) = id {
                    socket.request(&event, id);
                }
            }
            ("/foo", Some(id)) if event.name == "getId" => socket.answer(id, &json!(socket.emitter.sid())),
            _ => {}
        }
    }

    fn ack(&self, socket: &Arc<Socket>, _: u64, answer: Event<'_>) {
        if answer.args.raw() == r#"5,{"test":true}"# {
            socket.emit("got it", "");
        }
    }

    fn disconnected(&self, socket: &Arc<Socket>, reason: CloseReason) {
        self.sessions.left(&socket.pid, reason);
    }
}

impl Socket {
    /// Emits an event that can be replayed: it ends in an offset.
    fn emit(&self, name: &str, args: &str) {
        self.emit_binary(name, args, &[]);
    }

    fn emit_binary(&self, name: &str, args: &str, attachments: &[Bytes]) {
        self.sessions.emit((&self.pid, &self.emitter), name, args, attachments);
    }

    fn answer(&self, id: u64, value: &Value) {
        let _ = self.emitter.ack(id, &value.to_string());
    }

    fn request(&self, event: &Event<'_>, id: u64) {
        match event.name {
            "echo" => {
                let arg = event.args.get(0).unwrap_or("null");
                let _ = self.emitter.ack_binary(id, arg, &event.attachments);
            }
            "getAckDate" => self.answer(id, &json!(now())),
            "getHandshake" => self.answer(id, &self.handshake),
            "getId" => self.answer(id, &json!(self.emitter.sid())),
            _ => {}
        }
    }

    fn event(&self, event: &Event<'_>) {
        let is_binary = !event.attachments.is_empty();
        match event.name {
            "hi" => self.emit("hi", ""),
            "ack" => drop(self.emitter.emit_with_ack(0, "ack", "")),
            "getDate" => self.emit("takeDate", &json!(now()).to_string()),
            "getDateObj" => self.emit("takeDateObj", &json!({ "date": now() }).to_string()),
            "getUtf8" => {
                let texts = ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"];
                for text in texts {
                    self.emit("takeUtf8", &json!(text).to_string());
                }
            }
            "false" => self.emit("false", "false"),
            "doge" => self.emit_binary("doge", PLACEHOLDER, &[BUFFER]),
            "getbin" => self.emit_binary("takebin", PLACEHOLDER, &[BUFFER]),
            "buffa" if is_binary => self.emit("buffack", ""),
            "blob" if is_binary => self.emit("back", ""),
            "abuff2" => self.emit("abuff2-ack", ""),
            "jsonbuff" | "jsonblob" | "blob3" if is_binary => {
                self.emit(&format!("{}-ack", event.name), "");
            }
            _ => {}
        }
    }
}

/// The handshake as the reference server shows it.
fn handshake(request: &Connect<'_>) -> Value {
    let kept: Option<&KeptRequest> = request.handshake.request.as_deref();
    let url = kept.map_or("", |kept| &kept.url);
    let headers: Map<String, Value> =
        kept.iter().flat_map(|kept| &kept.headers).map(|(name, value)| (name.clone(), json!(value))).collect();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query: Map<String, Value> = query.split('&').map(parameter).collect();
    let now = OffsetDateTime::now_utc();
    json!({
        "xdomain": headers.contains_key("origin"),
        "headers": headers,
        "time": now.to_string(),
        "address": request.handshake.client.to_string(),
        "secure": false,
        "issued": now.unix_timestamp() * 1000,
        "url": url,
        "query": query,
        "auth": serde_json::from_str::<Value>(request.auth).unwrap_or_default(),
    })
}

fn parameter(pair: &str) -> (String, Value) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (percent_decoded(name), json!(percent_decoded(value)))
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.extend(byte);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

async fn delay_opening(request: Request, next: Next) -> Response {
    if !request.uri().query().unwrap_or_default().contains("sid=") {
        tokio::time::sleep(OPENING_DELAY).await;
    }
    next.run(request).await
}

pub(crate) fn router() -> Router {
    let engine = engineio::Config {
        ping_interval: Duration::from_secs(2),
        max_payload: 1_000_000,
        max_queued_bytes: 4_000_000,
        keep_request: true,
        ..engineio::Config::default()
    };
    let config = Config { engine, connect_timeout: Duration::from_secs(45) };
    Server::new(config, Arc::new(Suite::default())).router().layer(axum::middleware::from_fn(delay_opening))
}
