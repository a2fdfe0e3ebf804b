//! A gateway that breaks one promise. No real one can be told to, and the judge must be judged.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::Message;

/// What goes wrong, at every twentieth message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It asks to send again later, and stores nothing.
    AsksToWait,
    /// It stores the message and closes the sender's connection before the ack.
    ClosesBeforeAck,
    /// The same, and it stores the repeat as a new message.
    ForgetsClientIds,
    /// It acks the message and tells the other member nothing.
    LosesDelivery,
    /// It tells the other member twice.
    DeliversTwice,
    /// It acks a message with a seq that another one has.
    ReusesSeq,
    /// It refuses every token.
    RefusesTokens,
    /// It says that there is no such match.
    KnowsNoMatch,
}

#[derive(Default)]
struct Chat {
    messages: Vec<Value>,
    seqs: HashMap<String, u64>,
    sockets: Vec<(String, mpsc::Sender<String>)>,
}

struct Shared {
    fault: Fault,
    chats: Mutex<HashMap<String, Chat>>,
    sent: watch::Sender<u64>,
}

impl Shared {
    fn chats(&self) -> MutexGuard<'_, HashMap<String, Chat>> {
        self.chats.lock().unwrap()
    }
}

/// A gateway that runs.
pub(crate) struct Gateway {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How many messages it has been sent.
    pub(crate) sent: watch::Receiver<u64>,
}

/// Listens on a free port of loopback until the tasks are dropped.
pub(crate) async fn start(fault: Fault, tasks: &mut JoinSet<()>) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, receiver) = watch::channel(0);
    let shared = Arc::new(Shared { fault, chats: Mutex::default(), sent });
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&shared)));
        }
    });
    Gateway { address, sent: receiver }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut first = [0; 3];
    if stream.peek(&mut first).await.is_ok() && &first == b"PUT" {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
        return;
    }
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (sender, mut outgoing) = mpsc::channel(4096);
    let open = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#;
    let _ = socket.send(Message::text(open)).await;
    let mut user = String::new();
    loop {
        tokio::select! {
            frame = outgoing.recv() => if let Some(frame) = frame {
                let _ = socket.send(Message::text(frame)).await;
            },
            received = socket.next() => {
                let Some(Ok(Message::Text(text))) = received else { return };
                if let Some(auth) = text.strip_prefix("40") {
                    user = subject(auth);
                    let refused = shared.fault == Fault::RefusesTokens;
                    let refusal = r#"44{"message":"no","data":{"code":"UNAUTHENTICATED"}}"#;
                    let _ = socket.send(Message::text(if refused { refusal } else { r#"40{"sid":"s"}"# })).await;
                } else if let Some(event) = text.strip_prefix("42") && !handle(&shared, &user, event, &sender) {
                    return;
                }
            }
        }
    }
}

/// Handles an event; false closes the connection.
fn handle(shared: &Shared, user: &str, event: &str, sender: &mpsc::Sender<String>) -> bool {
    let (ack_id, rest) = event.split_at(event.find('[').unwrap());
    let event: Value = serde_json::from_str(rest).unwrap();
    let ack = |body: &Value| sender.try_send(format!("43{ack_id}[{body}]")).unwrap();
    if event[0] == "join_chat" {
        ack(&join(shared, user, &event[1], sender));
        return true;
    }
    match send(shared, user, &event[1]) {
        Some(body) => ack(&body),
        None => return false,
    }
    true
}

fn join(shared: &Shared, user: &str, request: &Value, sender: &mpsc::Sender<String>) -> Value {
    if shared.fault == Fault::KnowsNoMatch {
        return json!({"ok": false, "error": {"code": "MATCH_NOT_FOUND", "message": "", "retryable": false}});
    }
    let id = request.as_str().or(request["matchId"].as_str()).unwrap();
    let mut chats = shared.chats();
    let chat = chats.entry(id.to_owned()).or_default();
    chat.sockets.retain(|(joined, _)| joined != user);
    chat.sockets.push((user.to_owned(), sender.clone()));
    let since = request["sinceSeq"].as_u64().map_or(chat.messages.len(), |since| usize::try_from(since).unwrap());
    json!({"ok": true, "lastSeq": chat.messages.len(), "messages": chat.messages[since..], "hasMore": false})
}

/// Stores and delivers a message; the ack, or none if the connection is to be closed.
fn send(shared: &Shared, user: &str, request: &Value) -> Option<Value> {
    let mut chats = shared.chats();
    shared.sent.send_modify(|sent| *sent += 1);
    let fault = if shared.sent.borrow().is_multiple_of(20) { shared.fault } else { Fault::None };
    let client_id = request["clientId"].as_str().unwrap().to_owned();
    let chat = chats.get_mut(request["matchId"].as_str().unwrap()).unwrap();
    let key = format!("{user} {client_id}");
    if let Some(seq) = chat.seqs.get(&key)
        && shared.fault != Fault::ForgetsClientIds
    {
        return Some(json!({"ok": true, "seq": seq, "duplicate": true}));
    }
    if fault == Fault::AsksToWait {
        return Some(json!({"ok": false, "error":
            {"code": "RATE_LIMITED", "message": "", "retryable": true, "retryAfterMs": 20}}));
    }
    let seq = chat.messages.len() as u64 + 1;
    let message = json!({"seq": seq, "senderId": user, "clientId": client_id, "message": request["message"]});
    chat.messages.push(message.clone());
    chat.seqs.insert(key, seq);
    let times = match fault {
        Fault::LosesDelivery => 0,
        Fault::DeliversTwice => 2,
        _ => 1,
    };
    for (_, socket) in chat.sockets.iter().filter(|(member, _)| member != user) {
        for _ in 0..times {
            // A socket that is gone catches up when it joins again.
            let _ = socket.try_send(format!(r#"42["receive_message",{message},"1~x"]"#));
        }
    }
    let told = if fault == Fault::ReusesSeq { seq - 1 } else { seq };
    let closes = matches!(fault, Fault::ClosesBeforeAck | Fault::ForgetsClientIds);
    (!closes).then(|| json!({"ok": true, "seq": told, "duplicate": false}))
}

/// `sub` of the token, unchecked.
fn subject(auth: &str) -> String {
    use jsonwebtoken::dangerous::insecure_decode;
    let auth: Value = serde_json::from_str(auth).unwrap();
    let claims = insecure_decode::<Value>(auth["token"].as_str().unwrap()).unwrap().claims;
    claims["sub"].as_str().unwrap().to_owned()
}
