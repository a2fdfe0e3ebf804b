//! `/sync`: what has changed in all of the caller's matches, as the event `sync` tells it.

use axum::{extract::State, response::Response};
use gateway_core::sync::Wish;

use super::{
    answers::{may_read, read},
    api::Api,
    body::OptionalBody,
    caller::User,
};
use crate::failure::Problem;

/// `POST /sync`; without a body everything is told.
pub(super) async fn post(User(user): User, State(api): State<Api>, body: OptionalBody) -> Result<Response, Problem> {
    let request = body.read::<Wish<'_>>()?.request()?;
    may_read(&api, &user, &api.limits.history)?;
    let synced = api.services.sync(&user, request).await?;
    Ok(read(&api, &user, synced.json(api.message_fields, None)))
}
