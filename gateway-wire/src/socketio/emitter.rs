//! The sending side of a socket, and packets that are encoded once for many sockets.

use crate::engineio::{Closed, Handle, Payload};
use bytes::Bytes;
use std::sync::Arc;

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
        let _ = (name, args);
        todo!()
    }

    /// The same with attachments, for which `args` holds placeholders `{"_placeholder":true,"num":i}`.
    pub fn binary_event(name: &str, args: &str, attachments: &[Bytes]) -> Self {
        let _ = (name, args, attachments);
        todo!()
    }

    /// Size on the wire in bytes, frame headers aside.
    pub fn size(&self) -> usize {
        self.text.len()
            + self
                .attachments
                .iter()
                .flat_map(|all| all.iter())
                .map(Bytes::len)
                .sum::<usize>()
    }
}

/// The handle of one socket (connection and namespace): cheap to clone, usable from any task or thread.
///
/// Nothing here blocks or waits: packets are queued and written by the connection's own task. When the queue
/// passes its bound (`engineio::Config::max_queued_bytes`, `max_queued_packets`) the transport is closed, so that the
/// client reconnects. Every method that queues gives [`Closed`] once the connection or the namespace is closed.
#[derive(Debug, Clone)]
pub struct Emitter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    handle: Handle,
    namespace: Box<str>,
    sid: Box<str>,
}

impl Emitter {
    /// The socket's public id (of this namespace; not the Engine.IO sid): 20 characters, unguessable.
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// The namespace of the socket.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Emits an event. For `args` see [`Packet::event`].
    pub fn emit(&self, name: &str, args: &str) -> Result<(), Closed> {
        let _ = (name, args);
        todo!()
    }

    /// Emits an event with binary attachments. For `args` see [`Packet::binary_event`].
    pub fn emit_binary(&self, name: &str, args: &str, attachments: &[Bytes]) -> Result<(), Closed> {
        let _ = (name, args, attachments);
        todo!()
    }

    /// Emits an event that the client is to answer: its answer comes to `Application::ack` with `id`, which should be
    /// unique among the unanswered ones of this socket.
    pub fn emit_with_ack(&self, id: u64, name: &str, args: &str) -> Result<(), Closed> {
        let _ = (id, name, args);
        todo!()
    }

    /// Answers the client's event that had ack id `id`. `args` as in [`Packet::event`].
    pub fn ack(&self, id: u64, args: &str) -> Result<(), Closed> {
        let _ = (id, args);
        todo!()
    }

    /// Answers with binary attachments.
    pub fn ack_binary(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), Closed> {
        let _ = (id, args, attachments);
        todo!()
    }

    /// Sends a packet that was encoded once for many sockets. It must have been encoded for this socket's namespace.
    pub fn send(&self, packet: &Packet) -> Result<(), Closed> {
        self.send_all(std::slice::from_ref(packet))
    }

    /// Sends several packets in this order, with nothing in between and in the same write.
    pub fn send_all(&self, packets: &[Packet]) -> Result<(), Closed> {
        let _ = packets;
        todo!()
    }

    /// An ack for this socket's namespace as a packet, to go with others through [`send_all`](Self::send_all).
    pub fn ack_packet(&self, id: u64, args: &str) -> Packet {
        let _ = (id, args);
        todo!()
    }

    /// Closes the transport after what is queued was written: the client reconnects by itself. All namespaces of the
    /// connection go with it. (A DISCONNECT packet would make the client give up for good: there is no method for it.)
    pub fn disconnect_transport(&self) {
        todo!()
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        todo!()
    }

    /// Bytes of payload that wait in the connection's outgoing queue (all namespaces), or are in a write that the
    /// client's window holds up.
    pub fn queued_bytes(&self) -> usize {
        todo!()
    }

    /// Packets that wait in the connection's outgoing queue.
    pub fn queued_packets(&self) -> usize {
        todo!()
    }
}
