//! Message bodies: what is taken, in which form it is stored, and what is refused.

use proptest::prelude::*;

use super::*;

fn code_of(json: &str) -> Code {
    Content::parse(json).unwrap_err().code
}

fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

#[test]
fn text_is_counted_in_unicode_scalar_values() {
    let text = |count: usize| serde_json::to_string(&"𝄞".repeat(count)).unwrap();
    assert_eq!(Content::parse(&text(4_000)).unwrap(), Content { body: text(4_000), ids: Vec::new() });
    assert_eq!(code_of(&text(4_001)), Code::PayloadTooLarge);
}

#[test]
fn an_object_may_have_16_kib_of_canonical_json() {
    let object = |bytes: usize| format!(r#"{{ "a" : "{}" }}"#, "x".repeat(bytes - r#"{"a":""}"#.len()));
    assert_eq!(Content::parse(&object(MAX_OBJECT_BYTES)).unwrap().body.len(), MAX_OBJECT_BYTES);
    assert_eq!(code_of(&object(MAX_OBJECT_BYTES + 1)), Code::PayloadTooLarge);
}

#[test]
fn what_is_neither_text_nor_object_is_refused() {
    for json in ["null", "true", "1", "[]", r#"["a"]"#, "", "nonsense", "{", r#""\ud800""#, r#"{"\udfff":1}"#, "1e999"]
    {
        assert_eq!(code_of(json), Code::InvalidPayload, "{json}");
    }
}

#[test]
fn json_nests_32_deep_and_no_deeper() {
    assert!(Content::parse(&nested(32)).is_ok());
    assert_eq!(code_of(&nested(33)), Code::InvalidPayload);
    assert_eq!(code_of(&nested(10_000)), Code::InvalidPayload);
    let brackets_in_text = serde_json::to_string(&r#"[{\""#.repeat(100)).unwrap();
    assert!(Content::parse(&brackets_in_text).is_ok());
}

#[test]
fn equal_bodies_have_equal_bytes() {
    let body = |json: &str| Content::parse(json).unwrap().body;
    assert_eq!(body(r#"{ "b" : 1.50, "a" : ["\u0041\/", {"d":1,"c":2}] }"#), r#"{"a":["A/",{"c":2,"d":1}],"b":1.5}"#);
    assert_eq!(body(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
    assert_eq!(body("\"\\u0000\""), "\"\\u0000\"");
}

proptest! {
    #[test]
    fn text_has_one_notation_however_it_is_written(text in ".*", quoted in "[ -~]{0,20}") {
        for text in [text, quoted] {
            let canonical = serde_json::to_string(&text).unwrap();
            let escaped: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(&Content::parse(&canonical).unwrap().body, &canonical);
            prop_assert_eq!(&Content::parse(&format!("\"{}\"", escaped.concat())).unwrap().body, &canonical);
        }
    }
}

#[test]
fn numbers_come_back_as_sent_within_64_bits_and_as_doubles_beyond() {
    let body = |number: &str| Content::parse(&format!(r#"{{"n":{number}}}"#)).unwrap().body;
    for number in [
        "0",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1.5e-7",
        "1.7976931348623157e+308",
    ] {
        assert_eq!(body(number), format!(r#"{{"n":{number}}}"#));
    }
    assert_eq!(body("-0"), r#"{"n":-0.0}"#);
    assert_eq!(body("18446744073709551617"), r#"{"n":1.8446744073709552e+19}"#);
}

#[test]
fn an_object_may_be_what_its_ids_name_in_this_match() {
    let chat = MatchId::new("demo").unwrap();
    let saved_as = |json: &str| Content::parse(json).unwrap().saved_as(&chat).map(str::to_owned);
    assert_eq!(saved_as(r#"{"_id":"demo:7","id":"xT4u"}"#).as_deref(), Some("demo:7"));
    assert_eq!(saved_as(r#"{"_id":"local","id":"demo:7"}"#).as_deref(), Some("demo:7"));
    assert_eq!(saved_as(r#"{"_id":"other:7","id":"demo:7"}"#).as_deref(), Some("demo:7"));
    for json in [
        r#"{"_id":"a","id":"b"}"#,
        r#"{"_id":7,"id":"demo"}"#,
        r#"{"id":"demo2:7"}"#,
        r#"{"id":"dem:7"}"#,
        r#"{"message":{"id":"demo:7"}}"#,
        r#""demo:7""#,
    ] {
        assert_eq!(saved_as(json), None, "{json}");
    }
}

fn at() -> Moment {
    Moment { now: std::time::Instant::now(), unix_ms: 1_767_225_600_000, random: 7 }
}

#[test]
fn the_given_client_id_counts_and_nothing_in_the_message() {
    assert_eq!(client_id(Some("given"), at()).unwrap().as_str(), "given");
    let [first, second] = [1, 2].map(|random| client_id(None, Moment { random, ..at() }).unwrap());
    assert_ne!(first, second);
    assert_eq!(uuid::Uuid::parse_str(first.as_str()).unwrap().get_version_num(), 7);
}

#[test]
fn a_malformed_client_id_is_refused() {
    for given in ["", "a\0", &"x".repeat(65)] {
        assert_eq!(client_id(Some(given), at()), Err(Failure::invalid()));
    }
}

proptest! {
    #[test]
    fn canonical_json_is_a_fixed_point(text in ".{0,50}", number in any::<f64>(), key in ".{0,20}") {
        let json = serde_json::json!({ "text": text, "number": number, key: [text] }).to_string();
        let body = Content::parse(&json).unwrap().body;
        prop_assert_eq!(&Content::parse(&body).unwrap().body, &body);
    }

    #[test]
    fn no_text_makes_the_parser_panic(json in ".{0,200}") {
        let _ = Content::parse(&json);
    }
}
