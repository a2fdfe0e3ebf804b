//! Saving messages: once each, whichever gateway and however often.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{client::Pair, stack::stack};

#[tokio::test]
async fn a_saved_message_is_shown_as_clients_receive_it() {
    let pair = Pair::create().await;
    let saved = pair.alice.post(&pair.path("/messages"), &json!({ "message": "hi", "clientId": "c-1" })).await.ok(201);
    let at = saved["createdAt"].clone();
    let expected = json!({
        "id": format!("{}:1", pair.id), "matchId": pair.id, "seq": 1, "senderId": pair.members[0], "message": "hi",
        "clientId": "c-1", "createdAt": at, "timestamp": at,
    });
    assert_eq!(saved, expected);
    let history = pair.bob.get(&pair.path("/messages")).await.ok(200);
    assert_eq!(history, json!({ "messages": [expected], "hasMore": false, "rev": 0, "notes": [] }));
}

#[tokio::test]
async fn a_repeat_through_the_other_gateway_gets_the_same_message() {
    let pair = Pair::create().await;
    let body = json!({ "message": { "b": 1, "a": [2.50] }, "clientId": "c" });
    let first = pair.alice.post(&pair.path("/messages"), &body).await.ok(201);
    let repeat = pair.alice.at_gateway(1).post(&pair.path("/messages"), &body).await.ok(200);
    assert_eq!(first, repeat);
    let reordered = json!({ "message": { "a": [2.5], "b": 1 }, "clientId": "c" });
    assert_eq!(pair.alice.post(&pair.path("/messages"), &reordered).await.ok(200), first);
}

#[tokio::test]
async fn another_message_under_the_same_client_id_is_a_conflict_and_not_stored() {
    let pair = Pair::create().await;
    pair.alice.post(&pair.path("/messages"), &json!({ "message": "one", "clientId": "c" })).await.ok(201);
    let other = pair.alice.post(&pair.path("/messages"), &json!({ "message": "two", "clientId": "c" })).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_CONFLICT".into()));
    // The other member's ids are their own.
    pair.bob.post(&pair.path("/messages"), &json!({ "message": "two", "clientId": "c" })).await.ok(201);
    assert_eq!(pair.alice.get(&pair.path("")).await.ok(200)["lastSeq"], 2);
}

#[tokio::test]
async fn the_ids_in_an_object_are_no_client_id() {
    let pair = Pair::create().await;
    let gif = json!({ "message": { "type": "gif", "id": "xT4u", "_id": "65f0c1" } });
    let first = pair.alice.post(&pair.path("/messages"), &gif).await.ok(201);
    let second = pair.alice.post(&pair.path("/messages"), &gif).await.ok(201);
    assert_eq!((&first["seq"], &second["seq"]), (&json!(1), &json!(2)));
    assert_ne!(first["clientId"], second["clientId"]);
    assert_ne!(first["clientId"], "65f0c1");
}

#[tokio::test]
async fn a_message_looks_the_same_in_the_answer_and_in_the_history() {
    let pair = Pair::create().await;
    let body =
        json!({ "message": { "content": "hi", "_id": "a", "seq": 9, "__proto__": { "x": 1 } }, "clientId": "c" });
    let saved = pair.alice.post(&pair.path("/messages"), &body).await.ok(201);
    assert_eq!((&saved["content"], &saved["_id"], &saved["seq"]), (&json!("hi"), &json!("a"), &json!(1)));
    assert_eq!(saved["message"], body["message"]);
    assert!(saved.get("__proto__").is_none(), "{saved}");
    assert_eq!(pair.alice.post(&pair.path("/messages"), &body).await.ok(200), saved);
    let page = pair.bob.get(&pair.path("/messages")).await.ok(200);
    assert_eq!(page["messages"], json!([saved]));
}

#[tokio::test]
async fn what_cannot_be_saved_is_refused_and_not_stored() {
    let pair = Pair::create().await;
    let refused = [
        (json!({}), "INVALID_PAYLOAD"),
        (json!(["x", "c-1"]), "INVALID_PAYLOAD"),
        (json!({ "message": null }), "INVALID_PAYLOAD"),
        (json!({ "message": 7 }), "INVALID_PAYLOAD"),
        (json!({ "message": ["a"] }), "INVALID_PAYLOAD"),
        (json!({ "message": "x", "clientId": "" }), "INVALID_PAYLOAD"),
        (json!({ "message": "x", "clientId": 7 }), "INVALID_PAYLOAD"),
        (json!({ "message": "x", "clientId": "y".repeat(65) }), "INVALID_PAYLOAD"),
        (json!({ "message": "x".repeat(4_001) }), "PAYLOAD_TOO_LARGE"),
        (json!({ "message": { "a": "x".repeat(17 * 1024) } }), "PAYLOAD_TOO_LARGE"),
        (json!({ "message": "x", "padding": "y".repeat(70_000) }), "PAYLOAD_TOO_LARGE"),
    ];
    for (body, code) in refused {
        let (_, refusal) = pair.alice.post(&pair.path("/messages"), &body).await.refusal();
        assert_eq!(refusal, code, "{}", &body.to_string()[..body.to_string().len().min(80)]);
    }
    assert_eq!(pair.alice.get(&pair.path("")).await.ok(200)["lastSeq"], 0);
}

#[tokio::test]
async fn broken_json_is_refused_and_not_stored() {
    let pair = Pair::create().await;
    let path = format!("/api/v1{}", pair.path("/messages"));
    let deep = format!(r#"{{"message":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let bodies = ["", "{", "nonsense", r#"{"message":"\ud800"}"#, "\"text\"", &deep];
    for body in bodies {
        let request = pair.alice.request(Method::POST, &path).header("content-type", "application/json");
        let answer = pair.alice.send(request.body(body.to_owned())).await;
        assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()), "{}", &body[..body.len().min(40)]);
    }
    let not_utf_8 = pair.alice.request(Method::POST, &path).header("content-type", "application/json");
    let answer = pair.alice.send(not_utf_8.body(b"{\"message\":\"\xff\"}".to_vec())).await;
    assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()));
    let untyped = pair.alice.send(pair.alice.request(Method::POST, &path).body(r#"{"message":"x"}"#)).await;
    assert_eq!(untyped.refusal(), (400, "INVALID_PAYLOAD".into()));
    assert_eq!(pair.alice.get(&pair.path("")).await.ok(200)["lastSeq"], 0);
}

#[tokio::test]
async fn the_longest_message_is_saved() {
    let pair = Pair::create().await;
    let text = "𝄞".repeat(4_000);
    let saved = pair.alice.post(&pair.path("/messages"), &json!({ "message": text })).await.ok(201);
    assert_eq!(saved["message"], Value::from(text));
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_off() {
    let pair = Pair::create().await;
    let url: reqwest::Url = stack().manifest.gateways[0].url.parse().unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", url.port().unwrap())).unwrap();
    let (path, token) = (pair.path("/messages"), pair.alice.token());
    let head = format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192));
    // The gateway may close before it has read all.
    while connection.write_all(chunk.as_bytes()).is_ok() {
        connection.set_nonblocking(true).unwrap();
        let answered = !matches!(connection.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        connection.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
    }
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(str::from_utf8(&answer).unwrap(), "HTTP/1.1 413");
}

#[tokio::test]
async fn a_flood_of_one_user_is_refused_early_and_told_when_to_come_back() {
    let pair = Pair::create().await;
    let path = pair.path("/messages");
    let message = json!({ "message": "again" });
    let answers = join_all((0..60).map(|_| pair.alice.post(&path, &message))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!((1..=20).contains(&refused.len()), "{} of 60 refused", refused.len());
    let mut waits: Vec<u64> = refused.iter().map(|answer| answer.json()["retryAfterMs"].as_u64().unwrap()).collect();
    for answer in refused {
        assert_eq!(answer.refusal(), (429, "RATE_LIMITED".into()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    waits.sort_unstable();
    assert!(waits[0] <= 50 && waits[waits.len() - 1] <= 20 * 50, "a token comes back every 50 ms: {waits:?}");
    pair.bob.post(&path, &json!({ "message": "bob may" })).await.ok(201);
}
