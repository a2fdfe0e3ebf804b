//! The sending side of a socket, and packets that are encoded once for many sockets.

use super::packet::{Head, push_event, push_string};
use crate::engineio::{Closed, Handle, Payload, Sid};
use bytes::Bytes;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// An encoded packet, attachments included: cheap to clone and to send to any number of sockets of its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    text: Payload,
    attachments: Option<Arc<[Bytes]>>,
}

impl Packet {
    /// `2["name",args…]` for namespace `/`. `args` is raw JSON: zero or more values separated by commas, e.g.
    /// `{"matchId":"m1"},"1~cursor"`. It is put on the wire as it is: the caller sees to its validity.
    pub fn event(name: &str, args: &str) -> Self {
        Self::encode_event("/", None, name, args, &[])
    }

    /// An event whose last argument is a socket's cursor after it.
    pub fn recoverable(name: &str, json: &str, cursor: &str) -> Self {
        let head = Head { kind: '2', attachments: 0, namespace: "/", id: None };
        let mut text = head.encode(name.len() + json.len() + cursor.len());
        push_event(&mut text, name, json);
        text.pop();
        text.push_str(",\"");
        text.push_str(cursor);
        text.push_str("\"]");
        Self::new(text, &[])
    }

    /// The same with attachments, for which `args` holds placeholders `{"_placeholder":true,"num":i}`.
    pub fn binary_event(name: &str, args: &str, attachments: &[Bytes]) -> Self {
        Self::encode_event("/", None, name, args, attachments)
    }

    fn encode_event(namespace: &str, id: Option<u64>, name: &str, args: &str, attachments: &[Bytes]) -> Self {
        let head = Head { kind: '2', attachments: attachments.len(), namespace, id };
        let mut text = head.encode(name.len() + args.len());
        push_event(&mut text, name, args);
        Self::new(text, attachments)
    }

    fn encode_ack(namespace: &str, id: u64, args: &str, attachments: &[Bytes]) -> Self {
        let head = Head { kind: '3', attachments: attachments.len(), namespace, id: Some(id) };
        let mut text = head.encode(args.len());
        text.push('[');
        text.push_str(args);
        text.push(']');
        Self::new(text, attachments)
    }

    fn new(text: String, attachments: &[Bytes]) -> Self {
        let attachments = (!attachments.is_empty()).then(|| attachments.into());
        Self { text: Payload::text(text), attachments }
    }

    /// The ack of the event of namespace `/` that had this id. `args` as in [`event`](Self::event).
    pub fn ack(id: u64, args: &str) -> Self {
        Self::encode_ack("/", id, args, &[])
    }

    /// Size on the wire in bytes, frame headers aside.
    pub fn size(&self) -> usize {
        let attachments = self.attachments.iter().flat_map(|all| all.iter());
        self.text.as_bytes().len() + attachments.map(Bytes::len).sum::<usize>()
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &Payload {
        &self.text
    }

    fn into_payloads(self) -> impl Iterator<Item = Payload> {
        let attachments = self.attachments;
        let count = attachments.as_ref().map_or(0, |all| all.len());
        let attachment = move |index: usize| attachments.as_ref().map(|all| Payload::binary(all[index].clone()));
        std::iter::once(self.text).chain((0..count).filter_map(attachment))
    }
}

/// The handle of one socket (connection and namespace): cheap to clone, usable from any task or thread.
///
/// Nothing here blocks or waits: packets are queued and written by the connection's own task. When the queue
/// passes its bound (`engineio::Config::max_queued_bytes`, `max_queued_packets`) the transport is closed, so that the
/// client reconnects; what is sent at once while nothing waits may be larger. Every method that queues gives [`Closed`]
/// once the connection or the namespace is closed.
#[derive(Debug, Clone)]
pub struct Emitter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    handle: Handle,
    /// `None` for `/`.
    namespace: Option<Box<str>>,
    sid: Sid,
    /// The id of a recovered socket, which counts instead.
    restored: OnceLock<Box<str>>,
    /// The client left the namespace.
    left: AtomicBool,
}

impl Emitter {
    pub(super) fn new(handle: Handle, namespace: &str, sid: Sid) -> Self {
        let left = AtomicBool::new(false);
        let namespace = (namespace != "/").then(|| namespace.into());
        Self(Arc::new(Inner { handle, namespace, sid, restored: OnceLock::new(), left }))
    }

    /// The socket's public id (of this namespace; not the Engine.IO sid): 20 characters, unguessable.
    pub fn sid(&self) -> &str {
        self.0.restored.get().map_or(self.0.sid.as_str(), |sid| sid)
    }

    /// Gives a recovered socket the id it had, as the reference server does; only once, and only while its CONNECT
    /// is decided. The caller must know that the id is the client's.
    pub fn restore_sid(&self, sid: &str) {
        let _ = self.0.restored.set(sid.into());
    }

    /// The namespace of the socket.
    pub fn namespace(&self) -> &str {
        self.0.namespace.as_deref().unwrap_or("/")
    }

    /// Emits an event. For `args` see [`Packet::event`].
    ///
    /// # Errors
    /// As for all of the type.
    pub fn emit(&self, name: &str, args: &str) -> Result<(), Closed> {
        self.send_all([Packet::encode_event(self.namespace(), None, name, args, &[])])
    }

    /// Emits an event with binary attachments. For `args` see [`Packet::binary_event`].
    pub fn emit_binary(&self, name: &str, args: &str, attachments: &[Bytes]) -> Result<(), Closed> {
        self.send_all([Packet::encode_event(self.namespace(), None, name, args, attachments)])
    }

    /// Emits an event that the client is to answer: its answer comes to `Application::ack` with `id`, which should be
    /// unique among the unanswered ones of this socket.
    pub fn emit_with_ack(&self, id: u64, name: &str, args: &str) -> Result<(), Closed> {
        self.send_all([Packet::encode_event(self.namespace(), Some(id), name, args, &[])])
    }

    /// Answers the client's event that had ack id `id`. `args` as in [`Packet::event`].
    pub fn ack(&self, id: u64, args: &str) -> Result<(), Closed> {
        self.send_all([Packet::encode_ack(self.namespace(), id, args, &[])])
    }

    /// Answers with binary attachments.
    pub fn ack_binary(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), Closed> {
        self.send_all([Packet::encode_ack(self.namespace(), id, args, attachments)])
    }

    /// Sends a packet that was encoded once for many sockets. It must have been encoded for this socket's namespace.
    pub fn send(&self, packet: &Packet) -> Result<(), Closed> {
        self.send_all([packet.clone()])
    }

    /// Sends several packets in this order, with nothing in between and in the same write.
    pub fn send_all(&self, packets: impl IntoIterator<Item = Packet>) -> Result<(), Closed> {
        if self.0.left.load(Ordering::Relaxed) {
            return Err(Closed);
        }
        self.0.handle.send(packets.into_iter().flat_map(Packet::into_payloads))
    }

    /// An event for this socket's namespace as a packet.
    pub fn event_packet(&self, name: &str, args: &str) -> Packet {
        Packet::encode_event(self.namespace(), None, name, args, &[])
    }

    /// An ack for this socket's namespace as a packet, to go with others through [`send_all`](Self::send_all).
    pub fn ack_packet(&self, id: u64, args: &str) -> Packet {
        Packet::encode_ack(self.namespace(), id, args, &[])
    }

    /// Answers the CONNECT.
    pub(super) fn accept(&self, pid: Option<&str>) -> Result<(), Closed> {
        let mut text = self.head('0').encode(64);
        text.push_str(r#"{"sid":"#);
        push_string(&mut text, self.sid());
        if let Some(pid) = pid {
            text.push_str(r#","pid":"#);
            push_string(&mut text, pid);
        }
        text.push('}');
        self.send_all([Packet::new(text, &[])])
    }

    /// Refuses the CONNECT.
    pub(super) fn refuse(&self, message: &str, data: Option<&str>) -> Result<(), Closed> {
        let mut text = self.head('4').encode(message.len() + 64);
        text.push_str(r#"{"message":"#);
        push_string(&mut text, message);
        if let Some(data) = data {
            text.push_str(r#","data":"#);
            text.push_str(data);
        }
        text.push('}');
        self.send_all([Packet::new(text, &[])])
    }

    fn head(&self, kind: char) -> Head<'_> {
        Head { kind, attachments: 0, namespace: self.namespace(), id: None }
    }

    /// The client left the namespace: nothing more is sent.
    pub(super) fn leave(&self) {
        self.0.left.store(true, Ordering::Relaxed);
    }

    /// Closes the transport after what is queued was written: the client reconnects by itself. All namespaces of the
    /// connection go with it. (A DISCONNECT packet would make the client give up for good: there is no method for it.)
    pub fn disconnect_transport(&self) {
        self.0.handle.close();
    }

    /// Reads nothing more from a WebSocket for a moment (all namespaces): what its client sends now is to be refused.
    pub fn pause_reads(&self) {
        self.0.handle.pause_reads();
    }

    /// Has the client prove that it has all that was sent until now, of which the application is told.
    pub fn prove(&self) {
        self.0.handle.prove();
    }

    /// Runs a future on the connection's own task. It runs to its end also when the connection is closed. A panic ends
    /// it alone.
    ///
    /// Only the application's methods and such a future may call this, as they run on that task.
    #[track_caller]
    pub fn run(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.0.handle.run(job);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) || self.0.handle.is_closed()
    }

    /// Bytes of payload that wait in the connection's outgoing queue (all namespaces), or are in a write that the
    /// client's window holds up.
    pub fn queued_bytes(&self) -> usize {
        self.0.handle.queued_bytes()
    }

    /// Packets that wait in the connection's outgoing queue; an attachment counts as one.
    pub fn queued_packets(&self) -> usize {
        self.0.handle.queued_packets()
    }
}
