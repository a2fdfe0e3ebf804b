//! `/users/{id}` and `/users/{id}/erasure`: the app server deletes an account, and reads what has become of that.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::{
    UserId,
    chat::{Erasure, ErasureState, ErasureStep},
};
use serde::Serialize;
use service_kit::clock;

use super::{answers::json, api::Api, caller::AppServer, params::TheUser, users};
use crate::{failure::Problem, views::to_json};

/// By then every gateway refuses the tokens of before: what they have brought about is there, and is erased, too.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    user_id: &'a str,
    state: &'static str,
    requested_at: String,
    finished_at: Option<String>,
    steps: Vec<StepView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView<'a> {
    step: &'a str,
    state: &'static str,
    count: i64,
    #[serde(skip_serializing_if = "<[i64]>::is_empty")]
    report_ids: &'a [i64],
}

/// `DELETE /users/{id}`: revokes the user's tokens, and has everything erased that is there of the user then.
pub(super) async fn delete(_: AppServer, State(api): State<Api>, TheUser(user): TheUser) -> Result<Response, Problem> {
    users::refuse_tokens(&api, &user, None, SILENCE).await?;
    let erasure = api.services.erase_user(&user).await?;
    Ok(json(StatusCode::ACCEPTED, view(&user, &erasure)))
}

/// `GET /users/{id}/erasure`: 404 when nobody has asked for it.
pub(super) async fn get(_: AppServer, State(api): State<Api>, TheUser(user): TheUser) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, view(&user, &api.services.erasure(&user).await?)))
}

fn view(user: &UserId, erasure: &Erasure) -> String {
    to_json(&View {
        user_id: user.as_str(),
        state: name(erasure.state()),
        requested_at: clock::rfc3339(erasure.requested_at_ms),
        finished_at: erasure.finished_at_ms.map(clock::rfc3339),
        steps: erasure.steps.iter().map(StepView::new).collect(),
    })
}

impl<'a> StepView<'a> {
    fn new(of: &'a ErasureStep) -> Self {
        Self { step: &of.name, state: name(of.state()), count: of.count, report_ids: &of.report_ids }
    }
}

fn name(state: ErasureState) -> &'static str {
    match state {
        ErasureState::Pending => "pending",
        ErasureState::Running => "running",
        ErasureState::Done => "done",
    }
}
