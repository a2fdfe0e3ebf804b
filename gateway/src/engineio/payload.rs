//! The body of a polling request: packets joined by the record separator.

use super::packet::{Incoming, InvalidPacket, Outgoing};

/// Between two packets.
const SEPARATOR: char = '\u{1e}';

/// Reads the packets of a POST body, all or none.
pub(super) fn decode(body: &str) -> Result<Vec<Incoming<'_>>, InvalidPacket> {
    body.split(SEPARATOR).map(Incoming::parse).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engineio::Payload;
    use bytes::Bytes;
    use proptest::prelude::*;

    #[test]
    fn a_body_holds_packets_of_all_kinds() {
        let packets = [
            Outgoing::Open("{}".into()),
            Outgoing::Ping,
            Outgoing::Message(Payload::text("€")),
            Outgoing::ControlPong(Bytes::new()),
            Outgoing::Message(Payload::binary(vec![1, 2, 3, 4])),
        ];
        insta::assert_debug_snapshot!(encode(packets.iter(), Some("1")), @r#""0{}\u{1e}2\u{1e}4€\u{1e}bAQIDBA==\u{1e}1""#);
        assert_eq!(encode([].iter(), Some("6")), "6");
    }

    #[test]
    fn a_body_with_one_bad_packet_is_refused() {
        for body in ["", "4a\u{1e}", "\u{1e}4a", "abc", "2", "2x", "7", "b!", "é", "4a\u{1e}x"] {
            assert_eq!(decode(body), Err(InvalidPacket), "{body:?}");
        }
    }

    #[test]
    fn packets_that_mean_nothing_from_a_client_are_told_apart() {
        let read = decode("0{}\u{1e}1\u{1e}2probe\u{1e}3\u{1e}3probe\u{1e}4\u{1e}5\u{1e}6").unwrap();
        let expected = [
            Incoming::Ignored,
            Incoming::Close,
            Incoming::Probe,
            Incoming::Pong,
            Incoming::Pong,
            Incoming::Text(""),
            Incoming::Upgrade,
            Incoming::Ignored,
        ];
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn messages_survive_a_body(messages in prop::collection::vec(
            prop_oneof!["[^\u{1e}]{0,20}".prop_map(Payload::text), any::<Vec<u8>>().prop_map(Payload::binary)],
            1..5,
        )) {
            let packets: Vec<_> = messages.iter().cloned().map(Outgoing::Message).collect();
            let body = encode(packets.iter(), None);
            let read: Vec<_> = decode(&body).unwrap().into_iter().map(|packet| match packet {
                Incoming::Text(text) => Payload::text(text),
                Incoming::Binary(bytes) => Payload::binary(bytes),
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn no_body_makes_it_panic(body in ".*") {
            let _ = decode(&body);
        }
    }
}
