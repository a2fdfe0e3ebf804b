//! The decoder against frames in every cut, and against every violation.

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What an item holds, for comparison.
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

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Feeds the reads one after the other.
fn decode<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Got>, Option<Violation>, Decoder) {
    let mut decoder = Decoder::new();
    let mut got = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut position = 0;
        loop {
            match decoder.next(&mut read, &mut position, LIMIT) {
                Ok(Some(item)) => got.push(item.into()),
                Ok(None) => break,
                Err(violation) => return (got, Some(violation), decoder),
            }
        }
        assert_eq!(position, read.len());
    }
    (got, None, decoder)
}

fn violation(bytes: &[u8]) -> Option<Violation> {
    decode([bytes]).1
}

#[test]
fn a_whole_frame_is_decoded_where_it_was_read() {
    let mut read = [frame(0x81, b"Hello"), frame(0x82, &[1, 2])].concat();
    let mut decoder = Decoder::new();
    let mut position = 0;
    let first = decoder.next(&mut read, &mut position, LIMIT).unwrap().unwrap();
    assert_eq!(first, Item::Text(Cow::Borrowed("Hello")));
    let second = decoder.next(&mut read, &mut position, LIMIT).unwrap().unwrap();
    assert_eq!(second, Item::Binary(Data::Borrowed(&[1, 2])));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let bytes = [frame(0x01, "é".as_bytes()), frame(0x89, b"p"), frame(0x8a, b""), frame(0x80, b"!")].concat();
    let (got, violation, decoder) = decode([&bytes[..]]);
    assert_eq!(got, [Got::Ping(b"p".to_vec()), Got::Pong, Got::Text("é!".into())]);
    assert_eq!((violation, decoder.buffered()), (None, 0));
}

#[test]
fn a_character_may_be_cut_between_fragments_but_not_left_open() {
    let euro = "€".as_bytes();
    let cut = |last| [frame(0x01, &euro[..1]), frame(0x00, &euro[1..2]), frame(0x80, last)].concat();
    assert_eq!(decode([&cut(&euro[2..])[..]]).0, [Got::Text("€".into())]);
    assert_eq!(violation(&cut(b"")), Some(Violation::InvalidUtf8));
    assert_eq!(violation(&cut(b"x")), Some(Violation::InvalidUtf8));
}

#[test]
fn bad_text_is_refused_before_the_message_is_complete() {
    assert_eq!(violation(&frame(0x01, &[b'a', 0xff])), Some(Violation::InvalidUtf8));
    assert_eq!(violation(&frame(0x81, &[0xed, 0xa0, 0x80])), Some(Violation::InvalidUtf8));
}

#[test]
fn framing_rules_are_kept() {
    let cases: [(&[u8], Violation); 15] = [
        (&[0xc1], Violation::ReservedBit),
        (&[0xa1], Violation::ReservedBit),
        (&[0x91], Violation::ReservedBit),
        (&[0x83], Violation::ReservedOpcode),
        (&[0x8b], Violation::ReservedOpcode),
        (&[0x81, 0x05], Violation::Unmasked),
        (&[0x89, 0xfe], Violation::MalformedControl),
        (&[0x09, 0x80], Violation::MalformedControl),
        (&[0x81, 0xfe, 0, 125], Violation::MalformedLength),
        (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Violation::MalformedLength),
        (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::MalformedLength),
        (&[0x80, 0x80, 0, 0, 0, 0], Violation::FragmentOutOfPlace),
        (&[0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0], Violation::FragmentOutOfPlace),
        (&[0x88, 0x81, 0, 0, 0, 0, 0x03], Violation::MalformedClose),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], Violation::MalformedClose),
    ];
    for (bytes, expected) in cases {
        assert_eq!(violation(bytes), Some(expected), "{bytes:x?}");
    }
}

#[test]
fn a_close_frame_has_its_code() {
    let closes =
        [(&b""[..], Got::Close(None)), (b"\x03\xe8", Got::Close(Some(1000))), (b"\x0f\xa0bye", Got::Close(Some(4000)))];
    for (payload, expected) in closes {
        assert_eq!(decode([&frame(0x88, payload)[..]]).0, [expected]);
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        assert_eq!(violation(&frame(0x88, &code.to_be_bytes())), Some(Violation::MalformedClose), "{code}");
    }
    assert_eq!(violation(&frame(0x88, b"\x03\xe8\xff")), Some(Violation::InvalidUtf8));
}

#[test]
fn a_message_above_the_limit_is_refused_by_its_header() {
    let header = |length: u16| [&[0x82, 0xfe][..], &length.to_be_bytes(), &MASK].concat();
    assert_eq!(violation(&header(1000)), None);
    assert_eq!(violation(&header(1001)), Some(Violation::TooLarge));
    let fragments = [frame(0x02, &[0; 600]), header(401)].concat();
    let fragments = [&fragments[..600 + 8], &[0x80][..], &fragments[600 + 9..]].concat();
    assert_eq!(violation(&fragments), Some(Violation::TooLarge));
    assert_eq!(violation(&[0x82, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(Violation::TooLarge));
}

#[test]
fn what_is_stashed_comes_first() {
    let mut decoder = Decoder::new();
    decoder.stash(&[frame(0x81, b"a"), frame(0x81, b"b"), frame(0x81, b"c")[..3].to_vec()].concat());
    let mut read = [frame(0x81, b"c")[3..].to_vec(), frame(0x81, b"d")].concat();
    let mut position = 0;
    let mut got = Vec::new();
    while let Some(item) = decoder.next(&mut read, &mut position, LIMIT).unwrap() {
        got.push(Got::from(item));
    }
    assert_eq!(got, ["a", "b", "c", "d"].map(|text| Got::Text(text.into())));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn a_message_of_empty_fragments_does_not_go_on_for_ever() {
    let more = frame(0x00, &[]);
    let fragments = |count: usize| [frame(0x01, &[]), more.repeat(count - 1)].concat();
    assert_eq!(violation(&fragments(MAX_FRAGMENTS)), None);
    assert_eq!(violation(&fragments(MAX_FRAGMENTS + 1)), Some(Violation::TooManyFragments));
    assert_eq!(Violation::TooManyFragments.close_code() as u16, 1008);
}

/// A message in fragments, each with a ping before it or not.
fn message() -> impl Strategy<Value = (Vec<Got>, Vec<u8>)> {
    let payload = prop_oneof!["\\PC{0,80}".prop_map(Ok), prop::collection::vec(any::<u8>(), 0..300).prop_map(Err)];
    (payload, prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4)).prop_map(
        |(payload, mut cuts)| {
            let bytes = payload.as_ref().map_or_else(Vec::clone, |text| text.clone().into_bytes());
            cuts.sort_by_key(|(cut, _)| cut.index(bytes.len() + 1));
            let mut got = Vec::new();
            let mut wire = Vec::new();
            let mut start = 0;
            let opcode = if payload.is_ok() { 1 } else { 2 };
            for (number, (cut, pinged)) in cuts.iter().enumerate() {
                if *pinged {
                    got.push(Got::Ping(b"ping".to_vec()));
                    wire.extend(frame(0x89, b"ping"));
                }
                let end = cut.index(bytes.len() + 1);
                wire.extend(frame(if number == 0 { opcode } else { 0 }, &bytes[start..end]));
                start = end;
            }
            wire.extend(frame(0x80 | if cuts.is_empty() { opcode } else { 0 }, &bytes[start..]));
            got.push(payload.map_or_else(Got::Binary, Got::Text));
            (got, wire)
        },
    )
}

proptest! {
    #[test]
    fn reads_may_be_cut_anywhere(
        messages in prop::collection::vec(message(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let wire: Vec<u8> = messages.iter().flat_map(|(_, wire)| wire).copied().collect();
        let expected: Vec<Got> = messages.into_iter().flat_map(|(got, _)| got).collect();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        ends.push(wire.len());
        ends.sort_unstable();
        let mut start = 0;
        let reads = ends.into_iter().map(|end| &wire[std::mem::replace(&mut start, end)..end]);
        let (got, violation, decoder) = decode(reads);
        prop_assert_eq!(got, expected);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn no_input_makes_it_panic_or_keep_more_than_a_message(wire in prop::collection::vec(any::<u8>(), 0..4000)) {
        let (_, _, decoder) = decode(wire.chunks(97));
        prop_assert!(decoder.buffered() <= 2 * LIMIT + 14);
    }
}
