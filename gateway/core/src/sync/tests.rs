//! What is asked for.

use super::*;
use crate::arguments::tests::event;

fn asked(json: &str) -> Result<SyncRequest, Failure> {
    read(&event("sync", [Some(json), None]))
}

#[test]
fn without_an_argument_everything_is_asked_for() {
    let request = SyncRequest { messages: USUAL_MESSAGES, limit: USUAL_LIMIT, ..SyncRequest::default() };
    assert_eq!(read(&event("sync", [None, None])), Ok(request.clone()));
    assert_eq!(asked("{}"), Ok(request.clone()));
    assert_eq!(asked(r#"{"token":null,"known":null,"messages":null,"limit":null}"#), Ok(request));
}

#[test]
fn a_wish_is_bounded() {
    let of = |json: &str| asked(json).map(|request| (request.known.len(), request.messages, request.limit));
    let known = |count: usize| {
        let known = (0..count).map(|n| format!(r#""m{n}":[1,2]"#)).collect::<Vec<_>>().join(",");
        format!(r#"{{"known":{{{known}}},"messages":50,"limit":200}}"#)
    };
    assert_eq!((of(&known(500)), of(&known(501))), (Ok((500, 50, 200)), Err(Failure::invalid())));
    for json in [
        r#"{"messages":51}"#,
        r#"{"messages":-1}"#,
        r#"{"messages":1.5}"#,
        r#"{"limit":0}"#,
        r#"{"limit":201}"#,
        r#"{"limit":"9"}"#,
        r#"{"token":7}"#,
        r#"{"known":[]}"#,
        r#"{"known":{"m":[1]}}"#,
        r#"{"known":{"m":[1,2,3]}}"#,
        r#"{"known":{"m":[-1,0]}}"#,
        r#"{"known":{"m":[0,-1]}}"#,
        r#"{"known":{"m":[0,9007199254740992.5]}}"#,
        r#"{"known":{"no match":[1,1]}}"#,
        "[]",
        r#""token""#,
        "7",
    ] {
        assert_eq!(asked(json), Err(Failure::invalid()), "{json}");
    }
}
