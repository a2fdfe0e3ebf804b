//! Frames: the same result however the bytes are cut, and what tungstenite makes of them.
//!
//! Input: one byte that says where to cut, then what a client sends.

use std::io::{self, Read, Write};

use tungstenite::{
    Error, Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

use super::{Decoder, Item, Violation};

/// The largest message: small, so that inputs reach it.
const LIMIT: usize = 512;
/// A code of IANA's registry that tungstenite does not know.
const BAD_GATEWAY: u16 = 1014;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

impl From<Item<'_>> for Got {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Text(text) => Self::Text(text.into_owned()),
            Item::Binary(data) => Self::Binary(data.to_vec()),
            Item::Ping(data) => Self::Ping(data.to_vec()),
            Item::Pong => Self::Pong,
            Item::Close(code) => Self::Close(code),
        }
    }
}

/// What came out, and how it ended: with a violation, or with so many bytes held back.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    got: Vec<Got>,
    end: Result<usize, Violation>,
}

pub fn run(data: &[u8]) {
    let Some((&cut, wire)) = data.split_first() else { return };
    let cut = usize::from(cut);
    let whole = decode([wire], false);
    assert_eq!(decode(wire.chunks(cut % 16 + 1), false), whole, "in pieces");
    let (first, second) = wire.split_at(cut.min(wire.len()));
    assert_eq!(decode([first, second], false), whole, "in two reads");
    assert_eq!(decode([first, second], true), whole, "stashed after each item");
    compare(whole, wire);
}

fn decode<'a>(reads: impl IntoIterator<Item = &'a [u8]>, stashing: bool) -> Outcome {
    let mut decoder = Decoder::new();
    let mut got = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut position = 0;
        loop {
            match decoder.next(&mut read, &mut position, LIMIT) {
                Ok(Some(item)) => got.push(item.into()),
                Ok(None) => break,
                Err(violation) => return Outcome { got, end: Err(violation) },
            }
            if stashing {
                decoder.stash(&read[position..]);
                position = read.len();
            }
        }
        assert_eq!(position, read.len());
    }
    assert!(decoder.buffered() <= 2 * LIMIT + 14, "{} bytes are held back", decoder.buffered());
    Outcome { got, end: Ok(decoder.buffered()) }
}

/// Holds ours against tungstenite's. It may still wait where ours has refused: ours refuses as early as it can.
fn compare(ours: Outcome, wire: &[u8]) {
    let Outcome { mut got, mut end } = ours;
    if let Some(close) = got.iter().position(|got| matches!(got, Got::Close(_))) {
        // Nothing counts after it.
        got.truncate(close + 1);
        end = Ok(0);
    }
    let (mut theirs, mut refused) = read_by_tungstenite(wire);
    let violates_close =
        matches!(end, Err(Violation::MalformedClose)) || got.last() == Some(&Got::Close(Some(BAD_GATEWAY)));
    if violates_close && theirs.last() == Some(&Got::Close(Some(1002))) {
        // An illegal code is turned into this one there.
        theirs.pop();
        refused = true;
    }
    match end {
        Ok(_) if got.last() == Some(&Got::Close(Some(BAD_GATEWAY))) => got.truncate(got.len() - 1),
        Ok(_) => assert!(!refused, "refused by tungstenite alone: {got:?}"),
        // Whether a length is in its shortest form is not checked there.
        Err(Violation::MalformedLength | Violation::MalformedControl) => theirs.truncate(got.len()),
        Err(_) => {}
    }
    assert_eq!(got, theirs, "{end:?}");
}

fn read_by_tungstenite(wire: &[u8]) -> (Vec<Got>, bool) {
    let config =
        WebSocketConfig::default().read_buffer_size(64).max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_partially_read(Nothing, wire.to_vec(), Role::Server, Some(config));
    let mut got = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => got.push(Got::Text(text.as_str().to_owned())),
            Ok(Message::Binary(data)) => got.push(Got::Binary(data.to_vec())),
            Ok(Message::Ping(data)) => got.push(Got::Ping(data.to_vec())),
            Ok(Message::Pong(_)) => got.push(Got::Pong),
            Ok(Message::Close(close)) => {
                got.push(Got::Close(close.map(|close| close.code.into())));
                return (got, false);
            }
            Ok(Message::Frame(_)) => unreachable!("read gives messages"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return (got, false),
            Err(_) => return (got, true),
        }
    }
}

/// A connection from which no more comes, and to which everything can be written.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Nothing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
