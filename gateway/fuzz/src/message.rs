//! Bodies of messages: canonical JSON means the same, is a fixed point, and does not depend on how it was laid out.

use serde_json::Value;

use crate::payload::{Content, MAX_OBJECT_BYTES, MAX_TEXT_CHARS, is_too_deep};

pub fn run(data: &[u8]) {
    let Ok(json) = std::str::from_utf8(data) else { return };
    let Ok(content) = Content::parse(json) else { return };
    assert_eq!(Content::parse(&content.body).as_ref(), Ok(&content), "not canonical");

    let value: Value = serde_json::from_str(json).expect("what was taken is JSON");
    assert_eq!(serde_json::from_str::<Value>(&content.body).expect("a body is JSON"), value);
    let laid_out = serde_json::to_string_pretty(&value).expect("a value is written");
    assert_eq!(Content::parse(&laid_out).as_ref(), Ok(&content), "another layout");

    assert!(!is_too_deep(&content.body));
    match value {
        Value::String(text) => assert!(text.chars().count() <= MAX_TEXT_CHARS),
        Value::Object(_) => assert!(content.body.len() <= MAX_OBJECT_BYTES),
        other => panic!("taken as a message: {other}"),
    }
}
