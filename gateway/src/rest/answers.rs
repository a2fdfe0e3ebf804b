//! What the calls have in common: their limits, and the form of what they answer.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use proto::UserId;

use super::api::Api;
use crate::{failure::Failure, limits::Limiter};

/// A success: JSON with a status.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// Whether a user may read now: as the limit of such reads says, and that of the bytes that were read.
pub(super) fn may_read(api: &Api, user: &UserId, limit: &Limiter) -> Result<(), Failure> {
    within(|now| limit.take(user.as_str(), now).and_then(|()| api.limits.may_read(user.as_str(), now)))
}

/// What a user has read: 200, and its bytes count.
pub(super) fn read(api: &Api, user: &UserId, body: String) -> Response {
    api.limits.has_read(user.as_str(), body.len(), Instant::now());
    json(StatusCode::OK, body)
}

/// Whether a user may do it now, as a limit says.
pub(super) fn within(limit: impl FnOnce(Instant) -> Result<(), Duration>) -> Result<(), Failure> {
    limit(Instant::now()).map_err(Failure::rate_limited)
}
