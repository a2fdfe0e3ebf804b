//! What the URL says, checked: ids in the path, and the query.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use proto::{MatchId, UserId};
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Problem};

/// The match of `/matches/{id}`.
#[derive(Debug)]
pub(super) struct TheMatch(pub(super) MatchId);

/// The message of `/matches/{id}/messages/{seq}`.
#[derive(Debug)]
pub(super) struct TheMessage {
    pub(super) chat: MatchId,
    pub(super) seq: i64,
}

/// The reaction of `/matches/{id}/messages/{seq}/reactions/{emoji}`.
#[derive(Debug)]
pub(super) struct TheReaction {
    pub(super) message: TheMessage,
    pub(super) emoji: String,
}

/// The user of `/users/{id}`.
#[derive(Debug)]
pub(super) struct TheUser(pub(super) UserId);

/// The query string. A parameter that is malformed or there twice is `INVALID_PAYLOAD`; unknown ones are ignored.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

async fn id<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Failure> {
    Path::<String>::from_request_parts(parts, state).await.map(|Path(id)| id).map_err(|_| Failure::invalid())
}

impl<S: Send + Sync> FromRequestParts<S> for TheMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        MatchId::new(id(parts, state).await?).map(Self).map_err(|_| Failure::invalid().into())
    }
}

impl TheMessage {
    fn new(chat: String, seq: i64) -> Result<Self, Problem> {
        let chat = MatchId::new(chat).map_err(|_| Failure::invalid())?;
        Ok(Self { chat, seq })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TheMessage {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, i64)>::from_request_parts(parts, state).await;
        let Path((chat, seq)) = path.map_err(|_| Failure::invalid())?;
        Self::new(chat, seq)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TheReaction {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, i64, String)>::from_request_parts(parts, state).await;
        let Path((chat, seq, emoji)) = path.map_err(|_| Failure::invalid())?;
        Ok(Self { message: TheMessage::new(chat, seq)?, emoji })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TheUser {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        UserId::new(id(parts, state).await?).map(Self).map_err(|_| Failure::invalid().into())
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(query)| Self(query))
            .map_err(|_| Failure::invalid().into())
    }
}

/// How many entries a page has unless the query says otherwise.
const DEFAULT_LIMIT: i32 = 50;
/// The longest page.
const MAX_LIMIT: i32 = 200;

/// The length of a page: `limit` in 1 to 200, 50 if absent.
pub(super) fn page_limit(limit: Option<i32>) -> Result<i32, Failure> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) { Ok(limit) } else { Err(Failure::invalid()) }
}
