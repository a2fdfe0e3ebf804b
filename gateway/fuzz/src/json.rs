//! The JSON scanner: it takes what `serde_json` takes as raw JSON, and of that `serde_json` decodes all but lone
//! surrogates, numbers beyond an `f64`, and nesting deeper than its own limit.

use serde_json::value::RawValue;

use super::{
    MAX_ATTACHMENTS, MAX_JSON_DEPTH,
    json::{self, Measure, Placeholders},
};
use crate::{node::Node, payload};

/// How deep `serde_json` decodes.
const DECODED_DEPTH: usize = 127;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
    let scanned = json::scan(text, &mut ());
    assert_eq!(scanned.is_ok(), serde_json::from_str::<&RawValue>(trimmed).is_ok());
    assert_eq!(json::scan(text, &mut Placeholders::new(MAX_ATTACHMENTS)), scanned);
    let split = json::split_value(text);
    let Ok(measure) = scanned else { return };
    assert_eq!(split, Some((trimmed, "")));
    assert_eq!(measure.depth > MAX_JSON_DEPTH, payload::is_too_deep(text));
    decode(text, measure);
}

fn decode(text: &str, measure: Measure) {
    match serde_json::from_str::<Node>(text) {
        Ok(node) => {
            assert!(!measure.lone_surrogate);
            assert_eq!(measure.depth, node.depth());
        }
        Err(error) => {
            let is_expected = measure.lone_surrogate || measure.depth > DECODED_DEPTH;
            assert!(is_expected || error.to_string().starts_with("number out of range"), "{error}");
        }
    }
}
