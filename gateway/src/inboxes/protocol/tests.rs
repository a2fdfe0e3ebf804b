//! Wire bytes of both sides.

use proptest::prelude::*;

use super::*;

/// Reads all that is whole; returns what it was, in words, and how many bytes were left.
fn read(mut input: &[u8]) -> Result<(Vec<String>, usize), Violation> {
    let mut all = Vec::new();
    while let Some((received, length)) = parse(input)? {
        all.push(format!("{received:?}"));
        input = &input[length..];
    }
    Ok((all, input.len()))
}

fn message(wire: &[u8]) -> Message<'_> {
    match parse(wire) {
        Ok(Some((Received::Message(message), length))) if length == wire.len() => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_lies_where_its_line_says() {
    let found = message(b"MSG user.alice.chat 7 5\r\nhi\r\n!\r\n");
    assert_eq!((found.subject, found.reply, found.payload), ("user.alice.chat", None, &b"hi\r\n!"[..]));
    assert_eq!(found.headers.get("traceparent"), None);
    let with_reply = message(b"MSG user.alice.chat 7 reply.to 0\r\n\r\n");
    assert_eq!((with_reply.subject, with_reply.reply), ("user.alice.chat", Some("reply.to")));
    assert_eq!(with_reply.payload, b"");
    assert_eq!(message(b"msg\tuser.alice  7\t2\r\nhi\r\n").payload, b"hi");
}

#[test]
fn headers_stand_before_the_payload() {
    let wire = b"HMSG user.alice.chat 7 45 47\r\nNATS/1.0\r\nOther: x\r\ntraceparent: 00-ab-01\r\n\r\nhi\r\n";
    let found = message(wire);
    assert_eq!((found.reply, found.payload), (None, &b"hi"[..]));
    assert_eq!(found.headers.get("Traceparent"), Some("00-ab-01"));
    assert_eq!(found.headers.get("tracestate"), None);
    let with_reply = message(b"HMSG user.alice.chat 7 reply.to 12 12\r\nNATS/1.0\r\n\r\n\r\n");
    assert_eq!((with_reply.subject, with_reply.reply), ("user.alice.chat", Some("reply.to")));
    assert_eq!(with_reply.payload, b"");
}

#[test]
fn the_rest_of_the_protocol_is_lines() {
    let wire = b"INFO {\"ldm\":true,\"connect_urls\":[\"a:1\"],\"new\":{}}\r\nPING\r\nPONG \r\n+OK\r\n-ERR 'Stale Connection'\r\n";
    insta::assert_debug_snapshot!(read(wire).unwrap());
}

#[test]
fn what_no_server_says_is_refused() {
    let refused = |wire: &[u8]| read(wire).unwrap_err();
    assert_eq!(refused(b"HTTP/1.1 400 Bad Request\r\n"), Violation::UnknownOperation);
    assert_eq!(refused(b"\r\n"), Violation::UnknownOperation);
    assert_eq!(refused(b"MSG user.alice.chat 5\r\n"), Violation::MalformedLine);
    assert_eq!(refused(b"MSG user.alice.chat 7 five\r\n"), Violation::MalformedLine);
    assert_eq!(refused(b"HMSG user.alice.chat 7 6 5\r\n"), Violation::MalformedLine);
    assert_eq!(refused(b"INFO nonsense\r\n"), Violation::MalformedLine);
    assert_eq!(refused(b"PING \xff\r\n"), Violation::MalformedLine);
    assert_eq!(refused(b"MSG user.alice.chat 7 2\r\nlonger\r\n"), Violation::WrongLength);
    assert_eq!(refused(b"MSG user.alice.chat 7 8388609\r\n"), Violation::TooLarge);
    assert_eq!(refused(&vec![b'x'; MAX_LINE_BYTES]), Violation::LineTooLong);
}

#[test]
fn commands_are_frozen() {
    let mut out = Vec::new();
    connect(&mut out, "gateway");
    subscribe(&mut out, "t1.user.alice.*", 42);
    unsubscribe(&mut out, 42);
    insta::assert_snapshot!(String::from_utf8(out).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn requests_are_frozen() {
    let mut out = BytesMut::new();
    announce(&mut out, "match.any.demo.send", ("_INBOX.x.", 7), ("", 5));
    out.extend_from_slice(b"hello\r\n");
    let headers = "traceparent: 00-1-2-01\r\n";
    announce(&mut out, "match.any.demo.send", ("_INBOX.x.", 8), (headers, 5));
    let sent = framed("HPUB match.any.demo.send _INBOX.x.8", format!("NATS/1.0\r\n{headers}\r\n").as_bytes(), b"hello");
    out.extend_from_slice(b"hello\r\n");
    assert_eq!(out, [b"PUB match.any.demo.send _INBOX.x.7 5\r\nhello\r\n", sent.as_slice()].concat());
}

#[test]
fn the_status_of_a_message_stands_behind_the_version() {
    let status = |headers: &'static str| Headers(headers.as_bytes()).status();
    assert_eq!(status("NATS/1.0 503\r\n\r\n"), Some(NO_RESPONDERS));
    assert_eq!(status("NATS/1.0 503 No Responders\r\n\r\n"), Some(NO_RESPONDERS));
    assert_eq!(["NATS/1.0\r\na: 503\r\n\r\n", "503\r\n", ""].map(status), [None; 3]);
}

/// What a server may send, in order.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let event = prop_oneof![
        payload.clone().prop_map(|payload| framed("MSG user.alice.chat 7", &[], &payload)),
        payload.prop_map(|payload| framed("HMSG user.bob.chat 8", b"NATS/1.0\r\na: b\r\n\r\n", &payload)),
        prop::sample::select(vec!["PING\r\n", "PONG\r\n", "INFO {\"ldm\":true}\r\n", "-ERR 'x'\r\n"])
            .prop_map(|line| line.as_bytes().to_vec()),
    ];
    prop::collection::vec(event, 0..8).prop_map(|events| events.concat())
}

fn framed(start: &str, headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = headers.len() + payload.len();
    let sizes = if headers.is_empty() { format!("{total}") } else { format!("{} {total}", headers.len()) };
    [format!("{start} {sizes}\r\n").as_bytes(), headers, payload, b"\r\n"].concat()
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_the_events_are_the_same(
        wire in conversation(),
        cuts in prop::collection::vec(1_usize..20, 0..50),
    ) {
        let whole = read(&wire).unwrap();
        prop_assert_eq!(whole.1, 0);
        let (mut pending, mut all, mut rest) = (Vec::new(), Vec::new(), &wire[..]);
        for cut in cuts.into_iter().chain([wire.len()]) {
            let (piece, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            pending.extend_from_slice(piece);
            let (events, left) = read(&pending).unwrap();
            all.extend(events);
            pending.drain(..pending.len() - left);
        }
        prop_assert_eq!(all, whole.0);
    }

    #[test]
    fn whatever_comes_is_read_or_refused(wire in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&wire);
    }
}
