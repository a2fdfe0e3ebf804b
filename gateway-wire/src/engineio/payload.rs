//! The body of a polling request: packets joined by the record separator.

use super::packet::{Incoming, InvalidPacket, Outgoing};

/// Between two packets.
const SEPARATOR: char = '\u{1e}';

/// Reads the packets of a POST body, all or none.
pub(super) fn decode(body: &str) -> Result<Vec<Incoming<'_>>, InvalidPacket> {
    body.split(SEPARATOR).map(|packet| Incoming::parse(packet, true)).collect()
}

/// Writes the body of a GET's answer; `last` is one more packet, already encoded.
pub(super) fn encode<'a>(packets: impl Iterator<Item = &'a Outgoing>, last: Option<&str>) -> String {
    let mut body = String::new();
    for packet in packets {
        if matches!(packet, Outgoing::ControlPong(_)) {
            continue;
        }
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        packet.write_polled(&mut body);
    }
    if let Some(last) = last {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        body.push_str(last);
    }
    body
}
