//! `/users/me/blocks` and `/users/{id}/blocks`: whom users have blocked. A user asks for oneself, the app server for
//! any user.

use axum::{
    extract::{FromRequestParts, Path, State},
    response::Response,
};
use http::{StatusCode, request::Parts};
use proto::UserId;
use serde::{Deserialize, Serialize};
use service_kit::clock;

use super::{
    answers::{json, may_read, read, within},
    api::Api,
    caller::{AppServer, User},
    params::{Params, TheUser, page_limit},
};
use crate::{
    failure::{Failure, Problem},
    views::to_json,
};

/// Which page of the blocks.
#[derive(Debug, Deserialize)]
pub(super) struct Query {
    after: Option<String>,
    limit: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocks<'a> {
    blocks: Vec<Blocked<'a>>,
    has_more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocked<'a> {
    user_id: &'a str,
    created_at: String,
}

/// The last user in the path: who is blocked.
#[derive(Debug)]
pub(super) struct Other(UserId);

impl<S: Send + Sync> FromRequestParts<S> for Other {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(ids) = path.map_err(|_| Failure::invalid())?;
        let other = ids.into_iter().next_back().and_then(|(_, id)| UserId::new(id).ok());
        Ok(Self(other.ok_or_else(Failure::invalid)?))
    }
}

/// The first user in the path, of two.
#[derive(Debug)]
pub(super) struct Blocker(UserId);

impl<S: Send + Sync> FromRequestParts<S> for Blocker {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((id, _)) = path.map_err(|_| Failure::invalid())?;
        Ok(Self(UserId::new(id).map_err(|_| Failure::invalid())?))
    }
}

/// `GET /users/me/blocks?after&limit`.
pub(super) async fn list(
    User(user): User,
    State(api): State<Api>,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    let blocks = page(&api, &user, query).await?;
    Ok(read(&api, &user, blocks))
}

/// `GET /users/{id}/blocks?after&limit`, by the app server.
pub(super) async fn list_of(
    _: AppServer,
    State(api): State<Api>,
    TheUser(user): TheUser,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, page(&api, &user, query).await?))
}

/// `PUT /users/me/blocks/{other}`: closes what the two have with each other.
pub(super) async fn put(User(user): User, State(api): State<Api>, other: Other) -> Result<StatusCode, Problem> {
    within(|now| api.limits.reads.take(user.as_str(), now))?;
    block(&api, &user, &other).await
}

/// `PUT /users/{id}/blocks/{other}`, by the app server.
pub(super) async fn put_of(
    _: AppServer,
    State(api): State<Api>,
    Blocker(user): Blocker,
    other: Other,
) -> Result<StatusCode, Problem> {
    block(&api, &user, &other).await
}

/// `DELETE /users/me/blocks/{other}`: reopens nothing.
pub(super) async fn delete(User(user): User, State(api): State<Api>, other: Other) -> Result<StatusCode, Problem> {
    within(|now| api.limits.reads.take(user.as_str(), now))?;
    unblock(&api, &user, &other).await
}

/// `DELETE /users/{id}/blocks/{other}`, by the app server.
pub(super) async fn delete_of(
    _: AppServer,
    State(api): State<Api>,
    Blocker(user): Blocker,
    other: Other,
) -> Result<StatusCode, Problem> {
    unblock(&api, &user, &other).await
}

async fn page(api: &Api, user: &UserId, query: Query) -> Result<String, Problem> {
    let after = query.after.map(UserId::new).transpose().map_err(|_| Failure::invalid())?;
    let page = api.services.list_blocks(user, after.as_ref(), page_limit(query.limit)?).await?;
    let blocked = page.blocks.iter();
    let blocks =
        blocked.map(|of| Blocked { user_id: &of.user_id, created_at: clock::rfc3339(of.created_at_ms) }).collect();
    Ok(to_json(&Blocks { blocks, has_more: page.has_more }))
}

async fn block(api: &Api, user: &UserId, Other(other): &Other) -> Result<StatusCode, Problem> {
    if user == other {
        return Err(Failure::invalid().into());
    }
    api.services.block(user, other).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unblock(api: &Api, user: &UserId, Other(other): &Other) -> Result<StatusCode, Problem> {
    api.services.unblock(user, other).await?;
    Ok(StatusCode::NO_CONTENT)
}
