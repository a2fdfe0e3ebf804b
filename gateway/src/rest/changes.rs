//! `/matches/{id}/changes`: everything of a match that changes later, in one order.

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::{
    answers::{may_read, read},
    api::Api,
    caller::User,
    params::{Params, TheMatch, page_limit},
    request::ChangesQuery,
};
use crate::{
    failure::Problem,
    views::{ChangeView, to_json},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    changes: Vec<ChangeView<'a>>,
    through_rev: i64,
    has_more: bool,
    oldest_rev: i64,
}

/// `GET /matches/{id}/changes?after&limit`: a page, ascending, from the first on unless `after` says otherwise.
pub(super) async fn page(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    Params(query): Params<ChangesQuery>,
) -> Result<Response, Problem> {
    let (after, limit) = (query.after()?, page_limit(query.limit)?);
    may_read(&api, &user, &api.limits.history)?;
    let page = api.services.list_changes((&id, &user), after, limit).await?;
    let changes = page.changes.iter().map(|change| ChangeView::new(id.as_str(), change)).collect();
    let (through_rev, has_more, oldest_rev) = (page.through_rev, page.has_more, page.oldest_rev);
    Ok(read(&api, &user, to_json(&Page { changes, through_rev, has_more, oldest_rev })))
}
