//! `/users/{id}/revoke`: the app server takes a user's tokens back.

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use service_kit::clock;

use super::{Api, caller::AppServer, json, params::TheUser};
use crate::{failure::Failure, views::to_json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revoked<'a> {
    user_id: &'a str,
    not_before: String,
}

/// `POST /users/{id}/revoke`: refuses every token of the user that was issued until now, on all gateways within a second.
pub(super) async fn revoke(_: AppServer, State(api): State<Api>, TheUser(user): TheUser) -> Result<Response, Failure> {
    let not_before = clock::rfc3339(api.services.revoke(&user).await?);
    Ok(json(StatusCode::OK, to_json(&Revoked { user_id: user.as_str(), not_before })))
}
