//! Requests of the REST API as far as they are read: queries and bodies.
//!
//! Input: the query up to the first line feed, then the body.

use std::{
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
};
use http::header;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{
    Api,
    body::JsonBody,
    params::{Params, page_limit},
    request::{ListQuery, Members, NewMatch, NewMessage, PageQuery},
};
use crate::{limits::Budget, payload::Content};

/// What all bodies together may hold: more than one does.
const MAX_HELD: usize = 1024 * 1024;

/// For the deadline of a body, which never comes here.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime can be built"));

pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (query, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    if let Ok(query) = std::str::from_utf8(query) {
        read_query(query);
    }
    read_body(body);
}

fn read_query(query: &str) {
    let Ok(request) = Request::builder().uri(format!("/?{query}")).body(()) else { return };
    let mut parts = request.into_parts().0;
    if let Ok(Params(list)) = now(Params::<ListQuery>::from_request_parts(&mut parts, &())) {
        let _ = (list.after(), page_limit(list.limit));
    }
    if let Ok(Params(page)) = now(Params::<PageQuery>::from_request_parts(&mut parts, &())) {
        let _ = page.position();
        assert!(page_limit(page.limit).is_err() || page.limit.is_none_or(|limit| (1..=200).contains(&limit)));
    }
}

fn read_body(bytes: &[u8]) {
    let request = Request::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(bytes.to_vec()));
    let request = request.expect("the head is legal");
    let _runtime = RUNTIME.enter();
    let api = Api { held: Budget::new(MAX_HELD) };
    let Ok(body) = now(JsonBody::from_request(request, &api)) else { return };
    match body.read::<NewMatch<'_>>().and_then(|new| new.members()) {
        Ok(Members::Pair(members)) => assert_ne!(members[0], members[1]),
        Ok(Members::Group(group)) => assert!(group.members.len() > 1),
        Err(_) => {}
    }
    let Ok((content, client_id)) = body.read::<NewMessage<'_>>().and_then(|message| message.read()) else { return };
    // What is not asked for may be what `serde_json` cannot decode.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!(Content::parse(&value["message"].to_string()), Ok(content));
    if let Some(given) = value["clientId"].as_str() {
        assert_eq!(client_id.as_str(), given);
    }
}

/// The outcome of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits for something"),
    }
}
