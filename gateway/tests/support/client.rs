//! A caller of the API: users and the app server, with their tokens.

// Each test program takes what it needs.
#![allow(dead_code)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::stack::stack;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The body of a success.
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The code of a refusal, whose problem document must be in order.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["title"].is_string() && problem["type"].is_string() && problem["retryable"].is_boolean());
        (self.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }
}

/// Somebody with a token, or without.
#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    token: Option<String>,
    gateway: usize,
}

pub(crate) fn now_s() -> i64 {
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

pub(crate) fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(stack().manifest.jwt_secret.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

/// A connection for each request: the gateway closes one whose body was too long to be read, and the next request must
/// not meet that.
fn http() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

impl Caller {
    pub(crate) fn with_token(token: impl Into<String>) -> Self {
        Self { http: http(), token: Some(token.into()), gateway: 0 }
    }

    pub(crate) fn nobody() -> Self {
        Self { http: http(), token: None, gateway: 0 }
    }

    pub(crate) fn user(id: &str) -> Self {
        Self::with_token(sign(&json!({ "sub": id, "iat": now_s() - 1, "exp": now_s() + 600 })))
    }

    pub(crate) fn app_server() -> Self {
        Self::with_token(sign(&json!({ "scope": "service", "iat": now_s() - 1, "exp": now_s() + 600 })))
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same caller at another gateway.
    pub(crate) fn at_gateway(&self, gateway: usize) -> Self {
        Self { gateway, ..self.clone() }
    }

    /// A request to a path from the root.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = &stack().manifest.gateways[self.gateway].url;
        let request = self.http.request(method, format!("{base}{path}"));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    /// GET below `/api/v1`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, &format!("/api/v1{path}"))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, &format!("/api/v1{path}")).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, &format!("/api/v1{path}")).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/api/v1{path}"))).await
    }
}

/// A new match of two new users.
pub(crate) struct Pair {
    pub(crate) id: String,
    pub(crate) members: [String; 2],
    pub(crate) alice: Caller,
    pub(crate) bob: Caller,
}

impl Pair {
    pub(crate) async fn create() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let (id, members) = (format!("match-{n}"), [format!("alice-{n}"), format!("bob-{n}")]);
        let created = Caller::app_server().put(&format!("/matches/{id}"), &json!({ "members": members })).await;
        created.ok(201);
        let [alice, bob] = members.each_ref().map(|user| Caller::user(user));
        Self { id, members, alice, bob }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/matches/{}{rest}", self.id)
    }

    /// Saves `count` messages of Alice: `m1`, `m2`, …
    pub(crate) async fn fill(&self, count: i64) {
        for n in 1..=count {
            self.alice.post(&self.path("/messages"), &json!({ "message": format!("m{n}") })).await.ok(201);
        }
    }
}
