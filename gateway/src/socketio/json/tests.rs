//! The scanner against `serde_json`.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

fn depth(text: &str) -> usize {
    scan(text, &mut ()).unwrap().depth
}

/// Text made of pieces that matter to the grammar.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\\"",
        "\\u",
        "d800",
        "\\udc00",
        "\\ud83d\\ude00",
        "true",
        "false",
        "null",
        "-",
        "0",
        "1",
        "12",
        ".",
        "e",
        "E+",
        " ",
        "\n",
        "\t",
        "\u{1}",
        "a",
        "é",
        "😀",
        "\"a\"",
        "\"k\":",
        "{}",
        "[]",
        "1.5e3",
        "nul",
        "01",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,3}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn depth_counts_containers() {
    assert_eq!(depth("1"), 0);
    assert_eq!(depth("[]"), 1);
    assert_eq!(depth(r#"[{"a":[1]},[]]"#), 3);
}

#[test]
fn any_depth_is_scanned_without_recursion() {
    for levels in [63, 64, 65, 128, 129, 500_000] {
        let arrays = "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(depth(&arrays), levels);
        let objects = r#"{"a":"#.repeat(levels) + "[1]" + &"}".repeat(levels);
        assert_eq!(depth(&objects), levels + 1);
        assert_eq!(scan(&arrays[..arrays.len() - 1], &mut ()), Err(InvalidJson));
        let crossed = format!("{}{}", "[{\"a\":".repeat(levels), "]}".repeat(levels));
        assert_eq!(scan(&crossed, &mut ()), Err(InvalidJson));
    }
}

#[test]
fn lone_surrogates_are_seen_in_keys_and_values() {
    let is_lone = |text| scan(text, &mut ()).unwrap().lone_surrogate;
    for text in [r#""\ud800""#, r#"{"\udc00":1}"#, r#""\ud800\ud800\udc00""#, r#""\ud800x""#, r#""\ud800\n""#] {
        assert!(is_lone(text), "{text}");
    }
    assert!(!is_lone(r#"["\ud83d\ude00","\\ud800","\u0041"]"#));
}

proptest! {
    #[test]
    fn it_accepts_what_serde_json_accepts(text in almost_json()) {
        let ours = scan(&text, &mut ()).is_ok();
        prop_assert_eq!(ours, serde_json::from_str::<&RawValue>(text.trim_ascii()).is_ok(), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = scan(&text, &mut Placeholders::new(3));
    }

    #[test]
    fn what_it_finds_sound_can_be_decoded(text in almost_json()) {
        if let Ok(measure) = scan(&text, &mut ()) {
            let decoded = serde_json::from_str::<Value>(&text);
            prop_assert_eq!(!measure.lone_surrogate, decoded.is_ok(), "{}", text);
        }
    }

    #[test]
    fn values_are_measured_and_split(values in prop::collection::vec(value(), 0..4)) {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        for (value, text) in values.iter().zip(&texts) {
            prop_assert_eq!(depth(text), nesting(value));
        }
        let list = texts.join(" , ");
        let split: Vec<&str> = crate::socketio::Args::from_raw(&list).iter().collect();
        prop_assert_eq!(split, texts);
    }
}
