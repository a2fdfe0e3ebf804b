//! The packets of Engine.IO v4 and Socket.IO v5 that a text frame can hold (socket.io-protocol, namespace `/` only).
//! Pure.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// A frame that is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the server sent a malformed packet")]
pub struct Malformed;

/// The heartbeat that the Engine.IO open packet promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Milliseconds between two pings of the server.
    #[serde(rename = "pingInterval")]
    pub interval_ms: u64,
    /// Milliseconds that an answer may take.
    #[serde(rename = "pingTimeout")]
    pub timeout_ms: u64,
}

/// What the server says in one frame. `arguments` is the inside of the JSON array, after an event's name.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Engine.IO open.
    Open(Heartbeat),
    /// Engine.IO ping: to be answered.
    Ping,
    /// Engine.IO close.
    Close,
    /// The namespace accepted the connection; the text is its `{sid, pid}`.
    Connected(&'a str),
    /// The namespace refused it; the text tells [why](refusal_code).
    Refused(&'a str),
    /// The namespace ended the connection.
    Disconnected,
    /// An event.
    Event {
        /// Its name.
        name: &'a str,
        /// Its arguments.
        arguments: &'a str,
    },
    /// An ack.
    Ack {
        /// The id that the event carried.
        id: u64,
        /// Its arguments.
        arguments: &'a str,
    },
    /// Anything else that may legally come (pong, noop, binary): of no interest here.
    Other,
}

impl<'a> Packet<'a> {
    /// Reads a text frame.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let (kind, rest) = split_kind(text)?;
        match kind {
            '0' => serde_json::from_str(rest).map(Self::Open).map_err(|_| Malformed),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping),
            '4' => Self::socket_io(rest),
            '3' | '5' | '6' => Ok(Self::Other),
            _ => Err(Malformed),
        }
    }

    fn socket_io(text: &'a str) -> Result<Self, Malformed> {
        let (kind, rest) = split_kind(text)?;
        match kind {
            '0' => Ok(Self::Connected(rest)),
            '1' => Ok(Self::Disconnected),
            '2' => Self::event(rest),
            '3' => {
                let (id, arguments) = split_id(rest)?;
                Ok(Self::Ack { id: id.ok_or(Malformed)?, arguments })
            }
            '4' => Ok(Self::Refused(rest)),
            '5' | '6' => Ok(Self::Other),
            _ => Err(Malformed),
        }
    }

    fn event(text: &'a str) -> Result<Self, Malformed> {
        let (_, inside) = split_id(text)?;
        // No event of the contract has a character in its name that JSON would escape.
        let (name, rest) = inside.strip_prefix('"').and_then(|rest| rest.split_once('"')).ok_or(Malformed)?;
        Ok(Self::Event { name, arguments: rest.strip_prefix(',').unwrap_or("") })
    }
}

/// Why the server refused the namespace: the code of the client contract, else what is said to people.
pub fn refusal_code(body: &str) -> String {
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    let code = error["data"]["code"].as_str().or(error["message"].as_str());
    code.unwrap_or("no code").to_owned()
}

/// Splits the packet's type off.
fn split_kind(text: &str) -> Result<(char, &str), Malformed> {
    let mut chars = text.chars();
    chars.next().map(|kind| (kind, chars.as_str())).ok_or(Malformed)
}

/// Splits `12["a",1]` into the id and the inside of the array.
fn split_id(text: &str) -> Result<(Option<u64>, &str), Malformed> {
    let (id, rest) = text.split_once('[').ok_or(Malformed)?;
    let inside = rest.strip_suffix(']').ok_or(Malformed)?;
    let id = if id.is_empty() { None } else { Some(id.parse().map_err(|_| Malformed)?) };
    Ok((id, inside))
}

/// Reads the first of several arguments, without looking at the others.
pub fn first_argument<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, Malformed> {
    let mut values = serde_json::Deserializer::from_str(arguments).into_iter::<T>();
    // What follows the first value begins with a comma, which the iterator only minds when it is asked on.
    values.next().and_then(Result::ok).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_open_packet_tells_the_heartbeat() {
        let text = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#;
        assert_eq!(Packet::parse(text), Ok(Packet::Open(Heartbeat { interval_ms: 25_000, timeout_ms: 20_000 })));
    }

    #[test]
    fn events_and_acks_are_told_apart_from_their_arguments() {
        let event = Packet::Event { name: "chat_joined", arguments: r#"{"matchId":"m"},"1~x""# };
        assert_eq!(Packet::parse(r#"42["chat_joined",{"matchId":"m"},"1~x"]"#), Ok(event));
        assert_eq!(Packet::parse(r#"42["bare"]"#), Ok(Packet::Event { name: "bare", arguments: "" }));
        assert_eq!(Packet::parse(r#"4317[{"ok":true}]"#), Ok(Packet::Ack { id: 17, arguments: r#"{"ok":true}"# }));
        assert_eq!(Packet::parse("43[]"), Err(Malformed));
    }

    #[test]
    fn a_refusal_has_a_code() {
        let Ok(Packet::Refused(text)) = Packet::parse(r#"44{"message":"no","data":{"code":"TOKEN_EXPIRED"}}"#) else {
            panic!("a CONNECT_ERROR")
        };
        assert_eq!(refusal_code(text), "TOKEN_EXPIRED");
        assert_eq!(refusal_code(r#"{"message":"no"}"#), "no");
    }

    #[test]
    fn only_the_first_argument_is_read() {
        #[derive(Deserialize, PartialEq, Debug)]
        struct Seq {
            seq: u64,
        }
        assert_eq!(first_argument(r#"{"seq":4,"message":"a,b"},"1~x""#), Ok(Seq { seq: 4 }));
        assert_eq!(first_argument::<Seq>(""), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-6]{0,3}.{0,40}") {
            let _ = Packet::parse(&text);
        }
    }
}
