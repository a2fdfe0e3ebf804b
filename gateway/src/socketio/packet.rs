//! Packets on the wire: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use super::json::{self, Measure, Placeholders};
use super::{
    Args,
    limits::{MAX_ATTACHMENTS, MAX_JSON_DEPTH},
};
use std::{borrow::Cow, fmt::Write};

/// Names that the protocol keeps for itself: no client may emit them.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A packet that breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid packet")]
pub(super) struct InvalidPacket;

/// A packet of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming<'a> {
    pub(super) namespace: &'a str,
    pub(super) id: Option<u64>,
    /// Binary messages that belong to it and follow.
    pub(super) attachments: usize,
    pub(super) body: Body<'a>,
}

/// What a packet says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// `0`, with the raw JSON object of `auth`.
    Connect(&'a str),
    /// `1`
    Disconnect,
    /// `2` and `5`
    Event(Content<'a>),
    /// `3` and `6`: the name is empty.
    Ack(Content<'a>),
}

/// Name and arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) args: Args<'a>,
    pub(super) too_deep: bool,
    pub(super) invalid_text: bool,
}

impl<'a> Incoming<'a> {
    /// Reads a packet and checks all of its JSON.
    pub(super) fn parse(packet: &'a str) -> Result<Self, InvalidPacket> {
        let (kind, rest) = packet.split_at_checked(1).ok_or(InvalidPacket)?;
        let (attachments, rest) = match kind {
            "5" | "6" => attachments(rest)?,
            _ => (0, rest),
        };
        let (namespace, rest) = namespace(rest);
        let (id, data) = id(rest)?;
        let body = match kind {
            "0" => Body::Connect(connect(data)?),
            "1" if data.is_empty() => Body::Disconnect,
            "2" | "5" => Body::Event(Content::parse_event(data, attachments)?),
            "3" | "6" => Body::Ack(Content::parse_ack(data, attachments)?),
            // A CONNECT_ERROR (4) is the server's to send.
            _ => return Err(InvalidPacket),
        };
        Ok(Self { namespace, id, attachments, body })
    }
}

fn attachments(rest: &str) -> Result<(usize, &str), InvalidPacket> {
    let (count, rest) = rest.split_once('-').ok_or(InvalidPacket)?;
    let (count, after) = digits(count);
    match count.parse() {
        Ok(count @ 1..=MAX_ATTACHMENTS) if after.is_empty() => Ok((count, rest)),
        _ => Err(InvalidPacket),
    }
}

fn namespace(rest: &str) -> (&str, &str) {
    if !rest.starts_with('/') {
        return ("/", rest);
    }
    rest.split_once(',').unwrap_or((rest, ""))
}

fn id(rest: &str) -> Result<(Option<u64>, &str), InvalidPacket> {
    let (id, data) = digits(rest);
    if id.is_empty() {
        return Ok((None, data));
    }
    id.parse().map(|id| (Some(id), data)).map_err(|_| InvalidPacket)
}

/// The digits at the start, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

fn connect(data: &str) -> Result<&str, InvalidPacket> {
    if data.is_empty() {
        return Ok("{}");
    }
    json::scan(data, &mut ()).map_err(|_| InvalidPacket)?;
    if data.trim_ascii_start().starts_with('{') { Ok(data) } else { Err(InvalidPacket) }
}

/// What is between the brackets of an array.
fn elements(data: &str, attachments: usize) -> Result<(&str, Measure), InvalidPacket> {
    let measure = if attachments == 0 {
        json::scan(data, &mut ()).map_err(|_| InvalidPacket)?
    } else {
        let mut placeholders = Placeholders::new(attachments);
        let measure = json::scan(data, &mut placeholders).map_err(|_| InvalidPacket)?;
        if !placeholders.are_valid() {
            return Err(InvalidPacket);
        }
        measure
    };
    let data = data.trim_ascii();
    let elements = data.strip_prefix('[').and_then(|data| data.strip_suffix(']'));
    Ok((elements.ok_or(InvalidPacket)?.trim_ascii(), measure))
}

impl<'a> Content<'a> {
    fn new(name: Cow<'a, str>, args: &'a str, measure: Measure) -> Self {
        Self {
            name,
            args: Args::from_raw(args),
            too_deep: measure.depth > MAX_JSON_DEPTH,
            invalid_text: measure.lone_surrogate,
        }
    }

    fn parse_ack(data: &'a str, attachments: usize) -> Result<Self, InvalidPacket> {
        let (args, measure) = elements(data, attachments)?;
        Ok(Self::new(Cow::Borrowed(""), args, measure))
    }

    fn parse_event(data: &'a str, attachments: usize) -> Result<Self, InvalidPacket> {
        let (elements, measure) = elements(data, attachments)?;
        let (name, rest) = json::split_value(elements).ok_or(InvalidPacket)?;
        let name = event_name(name)?;
        let args = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
        Ok(Self::new(name, args, measure))
    }
}

/// The name of an event: a string that is not reserved, or a number, as the reference server takes it.
fn event_name(raw: &str) -> Result<Cow<'_, str>, InvalidPacket> {
    let Some(text) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        return if is_number { Ok(Cow::Borrowed(raw)) } else { Err(InvalidPacket) };
    };
    let name = if text.contains('\\') {
        // A name that is no Unicode text stays as it is written: no event has it.
        serde_json::from_str(raw).map_or(Cow::Borrowed(text), Cow::Owned)
    } else {
        Cow::Borrowed(text)
    };
    if RESERVED.contains(&&*name) { Err(InvalidPacket) } else { Ok(name) }
}

/// The start of a packet of ours: all before the JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// Type without attachments: `2` or `3`; `0` or `4`.
    pub(super) kind: char,
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    pub(super) id: Option<u64>,
}

impl Head<'_> {
    /// The head of a new packet, with room for `body` bytes more.
    pub(super) fn encode(self, body: usize) -> String {
        let mut packet = String::with_capacity(32 + self.namespace.len() + body);
        match (self.kind, self.attachments) {
            (kind, 0) => packet.push(kind),
            (kind, count) => {
                packet.push(if kind == '2' { '5' } else { '6' });
                let _ = write!(packet, "{count}-");
            }
        }
        if self.namespace != "/" {
            packet.push_str(self.namespace);
            packet.push(',');
        }
        if let Some(id) = self.id {
            // Writing to a string cannot fail.
            let _ = write!(packet, "{id}");
        }
        packet
    }
}

/// Appends `["name",args]`.
pub(super) fn push_event(packet: &mut String, name: &str, args: &str) {
    packet.push('[');
    push_string(packet, name);
    if !args.is_empty() {
        packet.push(',');
        packet.push_str(args);
    }
    packet.push(']');
}

/// Appends a JSON string.
pub(super) fn push_string(packet: &mut String, text: &str) {
    let is_plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        packet.push('"');
        packet.push_str(text);
        packet.push('"');
    } else {
        // As a value, which always can be written.
        packet.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests;
