//! Objects that are a saved message, and objects that only look like one.

use proptest::prelude::*;

use super::*;

fn stored(body: &Value) -> Message {
    Message {
        match_id: "demo".to_owned(),
        seq: 3,
        sender_id: "alice".to_owned(),
        client_id: "c-1".to_owned(),
        origin: None,
        body: body.to_string(),
        created_at_ms: 1_767_225_600_042,
        ..Message::default()
    }
}

/// The fields of the REST answer, with those of an object spread beside them as a gateway does it.
fn answer_of(message: &Message, spread: bool) -> Map<String, Value> {
    let content: Value = serde_json::from_str(&message.body).unwrap();
    let mut fields = content.as_object().cloned().filter(|_| spread).unwrap_or_default();
    fields.retain(|key, _| !key.starts_with("__"));
    fields.extend(answer(message, &content));
    fields
}

fn with(mut fields: Map<String, Value>, key: &str, value: Value) -> Map<String, Value> {
    fields.insert(key.to_owned(), value);
    fields
}

fn repeats(message: &Message, object: Map<String, Value>) -> bool {
    is_repeat(message, &Value::Object(object).to_string())
}

fn bodies() -> Vec<Value> {
    vec![
        json!("hello"),
        json!({}),
        json!({"type": "gif", "url": "a"}),
        json!({"type": "gif", "id": "xT4u"}),
        json!({"_id": "m-1", "id": 7, "message": "inner", "seq": 99, "timestamp": 0, "__proto__": {"a": 1}}),
    ]
}

#[test]
fn the_rest_answer_is_the_message_in_both_shapes_and_with_an_id_that_the_client_adds() {
    for body in bodies() {
        let message = stored(&body);
        for spread in [true, false] {
            let answer = answer_of(&message, spread);
            assert!(repeats(&message, answer.clone()), "{body}");
            assert!(repeats(&message, with(answer.clone(), "_id", json!("demo:3"))), "{body}");
            let own = body.get("_id").cloned().unwrap_or(json!("local-1"));
            assert!(repeats(&message, with(answer, "_id", own)), "{body}");
        }
    }
}

#[test]
fn the_content_with_the_messages_id_is_the_message() {
    for body in bodies().into_iter().filter(Value::is_object) {
        let message = stored(&body);
        let content = body.as_object().cloned().unwrap();
        assert!(repeats(&message, with(content.clone(), "_id", json!("demo:3"))), "{body}");
        assert!(repeats(&message, with(content, "id", json!("demo:3"))), "{body}");
    }
}

#[test]
fn an_object_without_the_messages_id_is_another_one() {
    for body in bodies() {
        let message = stored(&body);
        let mut answer = answer_of(&message, true);
        for id in [json!("demo:4"), json!("other:3"), json!("c-1"), json!("demo:03"), json!(3), json!(null)] {
            answer.insert("id".to_owned(), id.clone());
            answer.remove("_id");
            assert!(!repeats(&message, answer.clone()), "{body} {id}");
        }
    }
}

#[test]
fn an_object_with_anything_else_in_it_is_another_one() {
    for body in bodies() {
        let message = stored(&body);
        let answer = answer_of(&message, true);
        for (key, value) in [("caption", json!("new")), ("message", json!("edited")), ("seq", json!(4)), ("", json!(1))]
        {
            assert!(!repeats(&message, with(answer.clone(), key, value)), "{body} {key}");
        }
        let Some(content) = body.as_object().cloned() else { continue };
        let content = with(content, "_id", json!("demo:3"));
        for (key, value) in [("caption", json!("new")), ("type", json!("video")), ("id", json!("other"))] {
            assert!(!repeats(&message, with(content.clone(), key, value)), "{body} {key}");
        }
    }
}

#[test]
fn an_id_alone_says_nothing_of_a_content() {
    for body in [json!("hello"), json!({"a": 1})] {
        for object in [json!({"_id": "demo:3"}), json!({"id": "demo:3", "seq": 3})] {
            assert!(!is_repeat(&stored(&body), &object.to_string()), "{body} {object}");
        }
    }
    for text in ["\"demo:3\"", "{", "", "null", "[]"] {
        assert!(!is_repeat(&stored(&json!("hello")), text), "{text}");
    }
}

#[test]
fn a_seq_is_named_only_in_its_canonical_form() {
    let id = MatchId::new("demo").unwrap();
    for (name, seq) in [("demo:1", Some(1)), ("demo:12", Some(12))] {
        assert_eq!(seq_named_by(name, &id), seq);
    }
    for name in
        ["demo:0", "demo:-1", "demo:+1", "demo:01", "demo:", "demo1", "dem:1", "demo:1 ", "demo:99999999999999999999"]
    {
        assert_eq!(seq_named_by(name, &id), None, "{name}");
    }
}

#[test]
fn both_ids_of_an_object_may_name_a_message() {
    let id = MatchId::new("demo").unwrap();
    let named = |object: &Value| seqs_named_by(&object.to_string(), &id);
    assert_eq!(named(&json!({"_id": "demo:1", "id": "demo:2"})), [1, 2]);
    assert_eq!(named(&json!({"_id": "demo:2", "id": "demo:2"})), [2]);
    assert_eq!(named(&json!({"_id": "local", "id": "demo:2"})), [2]);
    assert!(named(&json!({"_id": 1, "id": {"id": "demo:2"}, "message": {"id": "demo:3"}})).is_empty());
    assert!(named(&json!("demo:1")).is_empty());
}

fn any_fields() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![Just("_id"), Just("id"), Just("message"), Just("type"), Just("timestamp"), Just("x")];
    let value = prop_oneof![Just(json!("a")), Just(json!("demo:3")), Just(json!(1.5)), Just(json!({"id": "demo:3"}))];
    proptest::collection::btree_map(key.prop_map(str::to_owned), value, 0..5).prop_map(|map| map.into_iter().collect())
}

proptest! {
    /// For any content, the answer to its POST and the content with the message's id are that message.
    #[test]
    fn what_was_saved_is_recognised(content in any_fields(), spread in any::<bool>()) {
        let message = stored(&Value::Object(content.clone()));
        prop_assert!(repeats(&message, answer_of(&message, spread)));
        prop_assert!(repeats(&message, with(content, "_id", json!("demo:3"))));
    }

    /// An object that counts as the message loses nothing: all that is in it is the content's or the answer's.
    #[test]
    fn nothing_that_is_not_stored_counts_as_stored(content in any_fields(), object in any_fields()) {
        let message = stored(&Value::Object(content.clone()));
        if repeats(&message, object.clone()) {
            let own = answer(&message, &Value::Object(content.clone()));
            for (key, value) in &object {
                let known = content.get(key) == Some(value) || own.get(key) == Some(value);
                prop_assert!(known || key == "_id", "{} {}", key, value);
            }
        }
    }
}
