//! `/matches`: a user's own, and what the app server does to them.

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;

use super::{
    answers::{json, may_read, read},
    api::Api,
    body::JsonBody,
    caller::{AppServer, User},
    params::{Params, TheMatch, page_limit},
    request::{ListQuery, NewMatch},
};
use crate::{
    egress::Since,
    failure::Problem,
    views::{MatchView, to_json},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MatchList<'a> {
    matches: Vec<MatchView<'a>>,
    has_more: bool,
}

/// `GET /matches?after&limit`: the user's matches, by id.
pub(super) async fn list(
    User(user): User,
    State(api): State<Api>,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    let (after, limit) = (query.after()?, page_limit(query.limit)?);
    let page = api.services.list_matches(&user, after.as_ref(), limit).await?;
    let matches = page.matches.iter().map(MatchView::new).collect();
    Ok(read(&api, &user, to_json(&MatchList { matches, has_more: page.has_more })))
}

/// `GET /matches/{id}`.
pub(super) async fn get(User(user): User, State(api): State<Api>, TheMatch(id): TheMatch) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    let snapshot = api.services.get_match(&id, &user, Since::default()).await?;
    Ok(read(&api, &user, to_json(&MatchView::new(&snapshot.of))))
}

/// `PUT /matches/{id}`: 201 if it is new, 200 if it was there.
pub(super) async fn put(
    _: AppServer,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let members = body.read::<NewMatch>()?.members()?;
    let (of, created) = api.services.put_match(&id, &members).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, to_json(&MatchView::new(&of))))
}

/// `DELETE /matches/{id}`: closes it for good.
pub(super) async fn close(_: AppServer, State(api): State<Api>, TheMatch(id): TheMatch) -> Result<StatusCode, Problem> {
    api.services.close_match(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
