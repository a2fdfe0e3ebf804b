//! One connection: its namespaces, and packets that wait for their attachments.

use super::packet::{Body, Content, Incoming};
use super::{Accept, Application, CloseReason, Connect, Emitter, Event, Refuse};
use crate::engineio::{Control, Handle, Handler, Message, Sid};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// The protocol over Engine.IO.
#[derive(Debug)]
pub(super) struct Protocol<A> {
    pub(super) application: Arc<A>,
    pub(super) connect_timeout: Duration,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    handle: Handle,
    /// The connected namespaces: few, mostly one.
    sockets: Vec<Socket<S>>,
    incomplete: Option<Box<Incomplete>>,
    /// Attachments that are still to come and that nobody takes.
    unwanted: u8,
    /// How often the application has refused a CONNECT.
    refusals: u8,
}

#[derive(Debug)]
struct Socket<S> {
    emitter: Emitter,
    socket: Arc<S>,
}

/// A packet whose attachments are still to come.
#[derive(Debug)]
struct Incomplete {
    packet: String,
    missing: usize,
    attachments: Vec<Bytes>,
}

impl Incomplete {
    fn new(packet: &str, missing: usize) -> Self {
        Self { packet: packet.to_owned(), missing, attachments: Vec::with_capacity(missing) }
    }
}

/// A decided CONNECT.
pub(super) struct Decision<S> {
    emitter: Emitter,
    result: Result<Accept<S>, Refuse>,
}

type Flow<S> = Control<Decision<S>>;

/// A connection whose CONNECTs were refused this often is closed: a client that means well asks for another token
/// first.
const MAX_REFUSALS: u8 = 8;

impl<A: Application> Handler for Protocol<A> {
    type Session = Connection<A::Socket>;
    type Outcome = Decision<A::Socket>;

    fn open(&self, handle: &Handle) -> Self::Session {
        handle.arm(self.connect_timeout);
        Connection { handle: handle.clone(), sockets: Vec::new(), incomplete: None, unwanted: 0, refusals: 0 }
    }

    fn message(&self, session: &mut Self::Session, message: Message<'_>) -> Flow<A::Socket> {
        if session.unwanted > 0 {
            return session.drop_unwanted(&message);
        }
        match (message, &mut session.incomplete) {
            (Message::Text(packet), None) => self.packet(session, packet),
            (Message::Binary(bytes), Some(incomplete)) => {
                incomplete.attachments.push(bytes);
                incomplete.missing -= 1;
                if incomplete.missing > 0 {
                    return Control::Continue;
                }
                match session.incomplete.take() {
                    Some(complete) => self.complete(session, *complete),
                    None => Control::Continue,
                }
            }
            _ => Control::Close(CloseReason::ProtocolError),
        }
    }

    fn resume(&self, session: &mut Self::Session, decision: Self::Outcome) -> Flow<A::Socket> {
        let Decision { emitter, result } = decision;
        // A reply that cannot be sent: the session is closed, which its task sees next.
        match result {
            Ok(accept) => {
                session.refusals = 0;
                if emitter.accept(accept.pid.as_deref()).is_ok() {
                    session.handle.disarm();
                    self.application.connected(&accept.socket);
                }
                session.sockets.reserve_exact(1);
                session.sockets.push(Socket { emitter, socket: accept.socket });
            }
            Err(Refuse::Error { message, data }) => {
                let _ = emitter.refuse(&message, data.as_deref());
                session.refusals += 1;
                if session.refusals >= MAX_REFUSALS {
                    return Control::Close(CloseReason::ServerClosed);
                }
            }
            Err(Refuse::InvalidNamespace) => drop(emitter.refuse("Invalid namespace", None)),
            Err(Refuse::Close) => return Control::Close(CloseReason::ServerClosed),
        }
        Control::Continue
    }

    fn proved(&self, session: &mut Self::Session) {
        session.sockets.iter().for_each(|socket| self.application.proved(&socket.socket));
    }

    fn closed(&self, session: Self::Session, reason: CloseReason) {
        for socket in session.sockets {
            self.application.disconnected(&socket.socket, reason);
        }
    }
}

impl<S> Connection<S> {
    /// Drops an attachment that nobody takes. Text may not come before the last one.
    fn drop_unwanted(&mut self, message: &Message<'_>) -> Flow<S> {
        match message {
            Message::Binary(_) => {
                self.unwanted -= 1;
                Control::Continue
            }
            Message::Text(_) => Control::Close(CloseReason::ProtocolError),
        }
    }
}

impl<A: Application> Protocol<A> {
    fn packet(&self, session: &mut Connection<A::Socket>, packet: &str) -> Flow<A::Socket> {
        let Ok(incoming) = Incoming::parse(packet) else {
            return Control::Close(CloseReason::ProtocolError);
        };
        let socket = session.sockets.iter().position(|s| s.emitter.namespace() == incoming.namespace);
        match (incoming.body, socket) {
            (Body::Connect(auth), None) => self.connect(session, incoming.namespace, auth),
            (Body::Disconnect, Some(index)) => {
                self.disconnect(session, index);
                Control::Continue
            }
            (body @ (Body::Event(_) | Body::Ack(_)), Some(index)) if incoming.attachments > 0 => {
                let announced = incoming.attachments;
                if A::TAKES_ATTACHMENTS {
                    session.incomplete = Some(Box::new(Incomplete::new(packet, announced)));
                } else {
                    // At most MAX_ATTACHMENTS.
                    session.unwanted = u8::try_from(announced).unwrap_or(u8::MAX);
                    self.dispatch(&session.sockets[index].socket, incoming.id, body, (announced, Vec::new()));
                }
                Control::Continue
            }
            (body @ (Body::Event(_) | Body::Ack(_)), Some(index)) => {
                self.dispatch(&session.sockets[index].socket, incoming.id, body, (0, Vec::new()));
                Control::Continue
            }
            // Before CONNECT, or a second one.
            _ => Control::Close(CloseReason::ProtocolError),
        }
    }

    /// A packet with all of its attachments.
    fn complete(&self, session: &mut Connection<A::Socket>, complete: Incomplete) -> Flow<A::Socket> {
        let Ok(incoming) = Incoming::parse(&complete.packet) else {
            return Control::Close(CloseReason::ProtocolError);
        };
        let mut sockets = session.sockets.iter();
        if let Some(socket) = sockets.find(|s| s.emitter.namespace() == incoming.namespace) {
            let attachments = (incoming.attachments, complete.attachments);
            self.dispatch(&socket.socket, incoming.id, incoming.body, attachments);
        }
        Control::Continue
    }

    fn connect(&self, session: &Connection<A::Socket>, namespace: &str, auth: &str) -> Flow<A::Socket> {
        let Ok(sid) = Sid::random() else { return Control::Close(CloseReason::ServerClosed) };
        let emitter = Emitter::new(session.handle.clone(), namespace, sid);
        let handle = session.handle.clone();
        let application = Arc::clone(&self.application);
        let auth = auth.to_owned();
        Control::Wait(Box::pin(async move {
            let request = Connect {
                namespace: emitter.namespace(),
                auth: &auth,
                emitter: emitter.clone(),
                handshake: handle.handshake(),
            };
            let result = application.connect(request).await;
            Decision { emitter, result }
        }))
    }

    /// The client left a namespace; the connection is closed if it stays without one.
    fn disconnect(&self, session: &mut Connection<A::Socket>, index: usize) {
        let socket = session.sockets.swap_remove(index);
        socket.emitter.leave();
        if session.sockets.is_empty() {
            session.handle.arm(self.connect_timeout);
        }
        self.application.disconnected(&socket.socket, CloseReason::ClientDisconnected);
    }

    fn dispatch(&self, socket: &Arc<A::Socket>, id: Option<u64>, body: Body<'_>, attachments: (usize, Vec<Bytes>)) {
        match (body, id) {
            (Body::Event(content), id) => {
                self.application.event(socket, content.event(id, attachments));
            }
            (Body::Ack(content), Some(id)) => {
                self.application.ack(socket, id, content.event(None, attachments));
            }
            // An ack of nothing is nothing, as for the reference server.
            _ => {}
        }
    }
}

impl Content<'_> {
    fn event(&self, ack: Option<u64>, (announced, attachments): (usize, Vec<Bytes>)) -> Event<'_> {
        Event {
            name: &self.name,
            args: self.args,
            attachments,
            announced,
            ack,
            too_deep: self.too_deep,
            invalid_text: self.invalid_text,
        }
    }
}
