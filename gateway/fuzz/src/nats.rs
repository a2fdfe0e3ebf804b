//! What a NATS server sends on a connection of the inboxes: the same events however the bytes are cut, each where it
//! came.
//!
//! Input: one byte that says where to cut, then what the server sends.

use super::protocol::{MAX_LINE_BYTES, MAX_MESSAGE_BYTES, Received, Violation, parse};

/// What was read, in words, and how it ended: with a violation, or with so many bytes held back.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    events: Vec<String>,
    end: Result<usize, Violation>,
}

pub fn run(data: &[u8]) {
    let Some((&cut, wire)) = data.split_first() else { return };
    let cut = usize::from(cut);
    let whole = read([wire]);
    assert_eq!(read(wire.chunks(cut % 16 + 1)), whole, "in pieces");
    let (first, second) = wire.split_at(cut.min(wire.len()));
    assert_eq!(read([first, second]), whole, "in two reads");
}

fn read<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut pending, mut events) = (Vec::new(), Vec::new());
    for read in reads {
        pending.extend_from_slice(read);
        loop {
            match parse(&pending) {
                Ok(Some((received, length))) => {
                    check(&received, &pending[..length]);
                    events.push(format!("{received:?}"));
                    pending.drain(..length);
                }
                Ok(None) => break,
                Err(violation) => return Outcome { events, end: Err(violation) },
            }
        }
        assert!(pending.len() < MAX_LINE_BYTES + MAX_MESSAGE_BYTES + 2);
    }
    Outcome { events, end: Ok(pending.len()) }
}

fn check(received: &Received<'_>, wire: &[u8]) {
    if let Received::Message(message) = received {
        let payload = wire.strip_suffix(b"\r\n").expect("a message ends a line");
        assert!(payload.ends_with(message.payload));
        assert!(!message.subject.is_empty());
        if let Some(parent) = message.headers.get("traceparent") {
            assert!(!parent.contains('\n'));
        }
    }
}
