//! `/matches`: a user's own, and what the app server does to them.

use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::{
    UserId,
    chat::{Message, SyncRequest, SyncedMatch},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    answers::{json, may_read, read},
    api::Api,
    body::JsonBody,
    caller::{AppServer, User},
    params::{Params, TheMatch, page_limit},
    request::{ListQuery, Members, NewMatch, Order},
};
use crate::{
    egress::Since,
    failure::{Failure, Problem},
    views::{MatchView, MessageView, to_json},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MatchList<'a> {
    matches: Vec<MatchView<'a>>,
    has_more: bool,
}

/// A match in the list by activity.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active<'a> {
    #[serde(flatten)]
    of: Option<MatchView<'a>>,
    last_message: Option<MessageView<'a>>,
    unread: Option<i64>,
}

/// `next` is the `after` of the page that follows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ByActivity<'a> {
    matches: &'a [Box<RawValue>],
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// `GET /matches?order&after&limit`: the user's matches, by id or by activity.
pub(super) async fn list(
    User(user): User,
    State(api): State<Api>,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    if query.order == Order::Activity {
        return by_activity(&api, &user, query).await;
    }
    let (after, limit) = (query.after()?, page_limit(query.limit)?);
    let page = api.services.list_matches(&user, after.as_ref(), limit).await?;
    let matches = page.matches.iter().map(MatchView::new).collect();
    Ok(read(&api, &user, to_json(&MatchList { matches, has_more: page.has_more })))
}

/// The first page of a sync that tells everything, or the one that follows.
async fn by_activity(api: &Api, user: &UserId, query: ListQuery) -> Result<Response, Problem> {
    let (token, limit) = (query.after, page_limit(query.limit)?);
    let synced = api.services.sync(user, SyncRequest { token, limit, ..SyncRequest::default() }).await?;
    if synced.response.reset {
        return Err(Failure::invalid().into());
    }
    let view = |of: &SyncedMatch, last: Option<&Message>| {
        let unread = of.receipts.as_ref().and_then(|receipts| receipts.me.as_ref()).map(|me| me.unread);
        let last_message = last.map(|last| MessageView::new(last, api.message_fields));
        to_json(&Active { of: of.r#match.as_ref().map(MatchView::new), last_message, unread })
    };
    let page = synced.page(0, |of| view(of, of.last_message.as_ref()), |of| view(of, None));
    let next = page.has_more.then_some(page.token);
    Ok(read(api, user, to_json(&ByActivity { matches: &page.matches, has_more: page.has_more, next })))
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
    let (of, created) = match body.read::<NewMatch<'_>>()?.members()? {
        Members::Pair(members) => api.services.put_match(&id, &members).await?,
        Members::Group(group) => api.services.put_group(&id, group).await?,
    };
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, to_json(&MatchView::new(&of))))
}

/// `DELETE /matches/{id}`: closes it for good.
pub(super) async fn close(_: AppServer, State(api): State<Api>, TheMatch(id): TheMatch) -> Result<StatusCode, Problem> {
    api.services.close_match(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
