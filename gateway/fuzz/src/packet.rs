//! Socket.IO packets: written again they read the same, and events and acks are what `serde_json` makes of them.

use serde_json::value::RawValue;

use super::{
    MAX_JSON_DEPTH,
    packet::{Body, Content, Head, Incoming, push_event},
};
use crate::node::Node;

/// Names that no client may emit.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = Incoming::parse(text);
    if let Some(is_legal) = is_legal(text) {
        assert_eq!(parsed.is_ok(), is_legal, "{parsed:?}");
    }
    let Ok(packet) = parsed else { return };
    match &packet.body {
        Body::Connect(auth) => assert!(matches!(serde_json::from_str(auth), Ok(Node::Object(_)) | Err(_))),
        Body::Disconnect => {}
        Body::Event(content) | Body::Ack(content) => check(content),
    }
    write_again(&packet);
}

/// What has to become of an event or ack in the root namespace without ack id; `None` if the packet is another one, or
/// `serde_json` cannot decode it.
fn is_legal(text: &str) -> Option<bool> {
    let (kind, rest) = text.split_at_checked(1)?;
    let (attachments, data) = match kind {
        "2" | "3" => (0, rest),
        "5" | "6" => {
            let (count, data) = rest.split_once('-')?;
            let count = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok())??;
            (Some(count).filter(|count| (1..=9).contains(count))?, data)
        }
        _ => return None,
    };
    if !data.starts_with('[') {
        return None;
    }
    let list: Node = serde_json::from_str(data).ok()?;
    if list.depth() > MAX_JSON_DEPTH {
        return None;
    }
    let has_name = match list.children().next() {
        Some(Node::Text(name)) => !RESERVED.contains(&&**name),
        Some(Node::Number(_)) => true,
        _ => false,
    };
    let is_ack = matches!(kind, "3" | "6");
    Some((is_ack || has_name) && (attachments == 0 || are_placed(&list, attachments, &mut Vec::new())))
}

/// Whether each placeholder names an attachment, and none is named twice.
fn are_placed(node: &Node, attachments: u64, seen: &mut Vec<u64>) -> bool {
    if matches!(node.member("_placeholder"), Some(Node::True)) {
        match node.member("num") {
            Some(Node::Number(Some(number))) if *number < attachments && !seen.contains(number) => seen.push(*number),
            _ => return false,
        }
    }
    node.children().all(|child| are_placed(child, attachments, seen))
}

fn check(content: &Content<'_>) {
    let list = format!("[{}]", content.args.raw());
    let values: Vec<&RawValue> = serde_json::from_str(&list).expect("arguments are JSON");
    assert!(content.args.iter().eq(values.iter().map(|value| value.get())));
    if content.too_deep || content.invalid_text {
        return;
    }
    match serde_json::from_str::<Node>(&list) {
        Ok(list) => assert!(list.depth() <= MAX_JSON_DEPTH),
        Err(error) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
    }
}

fn write_again(packet: &Incoming<'_>) {
    let kind = match packet.body {
        Body::Connect(_) => '0',
        Body::Disconnect => '1',
        Body::Event(_) => '2',
        Body::Ack(_) => '3',
    };
    let head = Head { kind, attachments: packet.attachments, namespace: packet.namespace, id: packet.id };
    let mut text = head.encode(0);
    match &packet.body {
        Body::Connect(auth) => text.push_str(auth),
        Body::Disconnect => {}
        // A name that is no Unicode text, or a number, is not ours to write.
        Body::Event(content) if content.invalid_text || is_number(&content.name) => return,
        Body::Event(content) => push_event(&mut text, &content.name, content.args.raw()),
        Body::Ack(content) => text.push_str(&format!("[{}]", content.args.raw())),
    }
    assert_eq!(Incoming::parse(&text).as_ref(), Ok(packet), "{text}");
}

fn is_number(name: &str) -> bool {
    name.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}
