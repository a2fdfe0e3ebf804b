//! The body of a polling request: messages are read as they were written.

use super::{
    Payload,
    packet::{Incoming, Outgoing},
    payload,
};

const SEPARATOR: char = '\u{1e}';

pub fn run(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let parts = || body.split(SEPARATOR);
    let read = payload::decode(body);
    assert_eq!(read.is_ok(), parts().all(is_legal), "{read:?}");
    let Ok(packets) = read else { return };
    assert_eq!(packets.len(), parts().count());

    let messages: Vec<Outgoing> = packets.into_iter().filter_map(message).collect();
    let written: Vec<&str> = parts().filter(|part| part.starts_with(['4', 'b'])).collect();
    assert_eq!(payload::encode(messages.iter(), None), written.join("\u{1e}"));
}

/// The rules once more, in other words.
fn is_legal(packet: &str) -> bool {
    let base64 = |text: &str| {
        let data = text.trim_end_matches('=');
        let padding = text.len() - data.len();
        let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        // The bits that the last character has too many are zero.
        let last_fits = match padding {
            0 => true,
            1 => data.ends_with(|c| "AEIMQUYcgkosw048".contains(c)),
            _ => data.ends_with(['A', 'Q', 'g', 'w']),
        };
        text.len() % 4 == 0 && padding <= 2 && data.chars().all(alphabet) && last_fits
    };
    match packet.chars().next() {
        Some('0' | '1' | '3' | '4' | '5' | '6') => true,
        Some('2') => packet == "2probe",
        Some('b') => base64(&packet[1..]),
        _ => false,
    }
}

fn message(packet: Incoming<'_>) -> Option<Outgoing> {
    match packet {
        Incoming::Text(text) => Some(Outgoing::Message(Payload::text(text))),
        Incoming::Binary(bytes) => Some(Outgoing::Message(Payload::binary(bytes))),
        _ => None,
    }
}
