//! Packets: what a client may send, and what we queue for it.

use crate::ws::{self, Opcode};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// What one message carries; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    is_text: bool,
}

impl Payload {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self { bytes: Bytes::from(text.into()), is_text: true }
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), is_text: false }
    }

    /// The bytes of the message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A packet of a client, in polling or as a text frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    /// `4`
    Text(&'a str),
    /// `b` and base64: in polling, and of a client that was told to send no binary frames.
    Binary(Bytes),
    /// `3`
    Pong,
    /// `1`
    Close,
    /// `2probe`, `5`: part of an upgrade.
    Probe,
    Upgrade,
    /// One that means nothing in this direction.
    Ignored,
}

/// A packet that cannot be read, or a ping, which only the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidPacket;

impl<'a> Incoming<'a> {
    /// Reads a text packet.
    pub(super) fn parse(packet: &'a str) -> Result<Self, InvalidPacket> {
        let (kind, rest) = packet.split_at_checked(1).ok_or(InvalidPacket)?;
        Ok(match (kind, rest) {
            ("4", text) => Self::Text(text),
            ("3", _) => Self::Pong,
            ("1", _) => Self::Close,
            ("2", "probe") => Self::Probe,
            ("5", _) => Self::Upgrade,
            ("0" | "6", _) => Self::Ignored,
            ("b", text) => Self::Binary(STANDARD.decode(text).map_err(|_| InvalidPacket)?.into()),
            _ => return Err(InvalidPacket),
        })
    }
}

/// A packet in the outgoing queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outgoing {
    Open(Box<str>),
    Message(Payload),
    Ping,
    /// The pong control frame of RFC 6455, with the ping's payload.
    ControlPong(Bytes),
}

impl Outgoing {
    /// Bytes that count against the queue's bound.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Open(json) => json.len(),
            Self::Message(payload) => payload.bytes.len(),
            Self::Ping => 1,
            Self::ControlPong(payload) => payload.len(),
        }
    }

    /// Appends the packet as a WebSocket frame.
    pub(super) fn write_frame(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open(json) => text_frame(b'0', json.as_bytes(), out),
            Self::Message(payload) if payload.is_text => text_frame(b'4', &payload.bytes, out),
            Self::Message(payload) => binary_frame(Opcode::Binary, &payload.bytes, out),
            Self::Ping => text_frame(b'2', b"", out),
            Self::ControlPong(payload) => binary_frame(Opcode::Pong, payload, out),
        }
    }

    /// Appends the packet as a part of a polling payload.
    pub(super) fn write_polled(&self, out: &mut String) {
        match self {
            Self::Open(json) => {
                out.push('0');
                out.push_str(json);
            }
            Self::Message(payload) if payload.is_text => {
                out.push('4');
                out.push_str(&String::from_utf8_lossy(&payload.bytes));
            }
            Self::Message(payload) => {
                out.push('b');
                STANDARD.encode_string(&payload.bytes, out);
            }
            Self::Ping => out.push('2'),
            Self::ControlPong(_) => {}
        }
    }
}

/// Appends a text frame of a packet type and its data.
pub(super) fn text_frame(kind: u8, data: &[u8], out: &mut Vec<u8>) {
    ws::encode_header(Opcode::Text, data.len() + 1, out);
    out.push(kind);
    out.extend_from_slice(data);
}

fn binary_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    ws::encode_header(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}
