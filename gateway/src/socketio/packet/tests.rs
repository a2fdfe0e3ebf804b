//! Packets as they stand on the wire.

use super::*;
use crate::socketio::Packet;
use bytes::Bytes;
use proptest::prelude::*;

fn event<'a>(packet: &'a Incoming<'a>) -> &'a Content<'a> {
    match &packet.body {
        Body::Event(content) => content,
        other => panic!("{other:?}"),
    }
}

/// Namespace, ack id, number of attachments and what it says.
fn shown(packet: &Incoming<'_>) -> String {
    let content = |content: &Content<'_>| format!("{} ({})", content.name, content.args.raw());
    let body = match &packet.body {
        Body::Connect(auth) => format!("connect {auth}"),
        Body::Disconnect => "disconnect".to_owned(),
        Body::Event(event) => format!("event {}", content(event)),
        Body::Ack(ack) => format!("ack {}", content(ack)),
    };
    format!("{} {:?} +{} {body}", packet.namespace, packet.id, packet.attachments)
}

#[test]
fn clients_packets_are_read() {
    let packets = [
        "0",
        r#"0{"token":"123"}"#,
        "0/admin",
        r#"0/admin,{"token":"123"}"#,
        "1",
        "1/admin,",
        r#"2["foo"]"#,
        r#"2/admin,12["foo", {"a":[1]} , "x"]"#,
        r#"3/admin,13["bar"]"#,
        "3[]",
        r#"52-["baz",{"_placeholder":true,"num":1},{"num":0,"_placeholder":true}]"#,
        r#"61-/admin,15[{"_placeholder":true,"num":0}]"#,
        "2[42]",
        r#"2["\u0066oo"]"#,
    ];
    let read = packets.map(|packet| shown(&Incoming::parse(packet).unwrap()));
    insta::assert_snapshot!(read.join("\n"), @r#"
    / None +0 connect {}
    / None +0 connect {"token":"123"}
    /admin None +0 connect {}
    /admin None +0 connect {"token":"123"}
    / None +0 disconnect
    /admin None +0 disconnect
    / None +0 event foo ()
    /admin Some(12) +0 event foo ({"a":[1]} , "x")
    /admin Some(13) +0 ack  ("bar")
    / None +0 ack  ()
    / None +2 event baz ({"_placeholder":true,"num":1},{"num":0,"_placeholder":true})
    /admin Some(15) +1 ack  ({"_placeholder":true,"num":0})
    / None +0 event 42 ()
    / None +0 event foo ()
    "#);
}

#[test]
fn invalid_packets_are_refused() {
    let packets = [
        "",
        "a",
        "7",
        "é",
        "4{}",
        "44",
        "2",
        "2{}",
        "2[]",
        "2[null]",
        r#"2[{"a":1}]"#,
        r#"2["a""#,
        r#"2["a"]x"#,
        r#"2abc["a"]"#,
        r#"2["connect"]"#,
        r#"2["disconnecting"]"#,
        r#"2["\u0063onnect"]"#,
        "0[]",
        "0null",
        "0{",
        "1{}",
        r#"299999999999999999999["a"]"#,
        r#"2-1["a"]"#,
        "3",
        "3{}",
        r#"5["a"]"#,
        r#"50-["a"]"#,
        r#"511-["a"]"#,
        r#"5-["a"]"#,
        r#"5x-["a"]"#,
        r#"51["a"]"#,
        r#"51-["a",{"_placeholder":true,"num":1}]"#,
        r#"51-["a",{"_placeholder":true,"num":-1}]"#,
        r#"51-["a",{"_placeholder":true}]"#,
        r#"51-["a",{"_placeholder":true,"num":"0"}]"#,
        r#"51-["a",{"_placeholder":true,"num":{}}]"#,
        r#"52-["a",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":0}]]"#,
    ];
    for packet in packets {
        assert_eq!(Incoming::parse(packet), Err(InvalidPacket), "{packet}");
    }
}

#[test]
fn an_object_that_only_looks_like_a_placeholder_is_none() {
    for packet in [
        r#"51-["a",{"_placeholder":false,"num":7},{"num":9},{"_placeholder":true,"num":0}]"#,
        r#"51-["a",{"x":{"_placeholder":true,"num":0},"num":5}]"#,
        r#"2["a",{"_placeholder":true,"num":3}]"#,
    ] {
        assert!(Incoming::parse(packet).is_ok(), "{packet}");
    }
}

#[test]
fn a_placeholder_may_be_written_with_escapes() {
    let packet = |num: u8| format!(r#"51-["a",{{"\u005fplaceholder":true,"\u006e\u0075m":{num}}}]"#);
    assert!(Incoming::parse(&packet(0)).is_ok());
    assert_eq!(Incoming::parse(&packet(1)), Err(InvalidPacket));
}

#[test]
fn too_deep_and_undecodable_events_are_delivered_with_a_mark() {
    let nested = |levels: usize| format!("2[\"a\",{}{}]", "[".repeat(levels), "]".repeat(levels));
    let deepest = nested(MAX_JSON_DEPTH - 1);
    assert!(!event(&Incoming::parse(&deepest).unwrap()).too_deep);
    let deeper = nested(MAX_JSON_DEPTH);
    assert!(event(&Incoming::parse(&deeper).unwrap()).too_deep);
    let lone = r#"21["a","\ud800"]"#;
    assert!(event(&Incoming::parse(lone).unwrap()).invalid_text);
    let name = r#"21["\ud800"]"#;
    let packet = Incoming::parse(name).unwrap();
    assert_eq!((&*event(&packet).name, event(&packet).invalid_text), (r"\ud800", true));
}

#[test]
fn our_packets_are_written() {
    let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"bc")];
    let packets = [
        Packet::event("hi", ""),
        Packet::event("receive_message", r#"{"a":1},"1~x""#),
        Packet::event("quote\"", "1"),
        Packet::binary_event("bin", r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#, &attachments),
    ];
    let texts: Vec<_> = packets.iter().map(|packet| String::from_utf8_lossy(packet.text().as_bytes())).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    2["hi"]
    2["receive_message",{"a":1},"1~x"]
    2["quote\"",1]
    52-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
    "#);
    assert_eq!(packets[3].size(), texts[3].len() + 3);
}

#[test]
fn heads_are_written() {
    let head = |kind, attachments, namespace, id| Head { kind, attachments, namespace, id }.encode(0);
    assert_eq!(head('0', 0, "/", None), "0");
    assert_eq!(head('4', 0, "/admin", None), "4/admin,");
    assert_eq!(head('3', 0, "/admin", Some(13)), "3/admin,13");
    assert_eq!(head('2', 2, "/", Some(7)), "52-7");
    assert_eq!(head('3', 1, "/a", Some(0)), "61-/a,0");
}

proptest! {
    #[test]
    fn what_we_write_reads_back(name in "\\PC{1,12}", args in prop::collection::vec("\\PC{0,8}", 0..4)) {
        prop_assume!(!RESERVED.contains(&&*name));
        let raw = args.iter().map(|arg| serde_json::Value::from(arg.as_str()).to_string()).collect::<Vec<_>>().join(",");
        let mut text = Head { kind: '2', attachments: 0, namespace: "/n", id: Some(5) }.encode(0);
        push_event(&mut text, &name, &raw);
        let packet = Incoming::parse(&text).unwrap();
        prop_assert_eq!((packet.namespace, packet.id), ("/n", Some(5)));
        let content = event(&packet);
        prop_assert_eq!(&*content.name, &*name);
        let read: Vec<String> = (0..args.len()).map(|index| content.args.decode(index).unwrap()).collect();
        prop_assert_eq!(read, args);
    }

    #[test]
    fn no_packet_makes_it_panic(packet in ".*") {
        let _ = Incoming::parse(&packet);
    }

    #[test]
    fn no_almost_packet_makes_it_panic(packet in r#"[0-6][0-9/,\-]{0,4}[\[{"a:,\]}0-9_]{0,12}"#) {
        let _ = Incoming::parse(&packet);
    }
}
