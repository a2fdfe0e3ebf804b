//! JSON bodies: of the right type, bounded in size, depth and time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use bytes::BytesMut;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use proto::Code;
use serde::Deserialize;
use tokio::time::timeout;

use super::api::Api;
use crate::{
    failure::{Failure, Problem},
    limits::Holding,
    payload::is_too_deep,
};

/// The largest body, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// When to come back to a gateway that holds as much as it may.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A body that is JSON by its type and not too deep. [`read`](Self::read) makes something of it.
#[derive(Debug)]
pub(super) struct JsonBody(Bytes);

impl FromRequest<Api> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if is_json(request.headers()) { Ok(Self(arrived(request, api).await?)) } else { Err(Failure::invalid().into()) }
    }
}

impl JsonBody {
    /// The body, an object, as a `T`; `INVALID_PAYLOAD` if it is none.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        read(&self.0)
    }
}

/// A body that may be absent. What is there is taken for JSON, whatever type it says, or none: commands that did
/// without a body for long are called without a type, too.
#[derive(Debug)]
pub(super) struct OptionalBody(Bytes);

impl FromRequest<Api> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        Ok(Self(arrived(request, api).await?))
    }
}

impl OptionalBody {
    /// The body, an object, as a `T`; the default if there is none; `INVALID_PAYLOAD` if it is something else.
    pub(super) fn read<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Failure> {
        if self.0.trim_ascii().is_empty() { Ok(T::default()) } else { read(&self.0) }
    }
}

/// The whole body, bounded in size and time.
async fn arrived(request: Request, api: &Api) -> Result<Bytes, Failure> {
    if announced_length(request.headers()).is_some_and(|length| length > MAX_BYTES) {
        return Err(Code::PayloadTooLarge.into());
    }
    let arriving = arrive(request.into_body(), Holding::nothing(&api.held));
    timeout(ARRIVES_WITHIN, arriving).await.map_err(|_| Failure::invalid())?
}

async fn arrive(mut body: Body, mut holding: Holding<'_>) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Failure::invalid())?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BYTES {
            return Err(Code::PayloadTooLarge.into());
        }
        bytes.extend_from_slice(&data);
        if !holding.settle(bytes.capacity()) {
            return Err(Failure::rate_limited(RETRY_AFTER));
        }
    }
    Ok(bytes.freeze())
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::invalid())?;
    // Of an array serde would take the elements for the fields, in their order.
    if is_too_deep(text) || !text.trim_ascii_start().starts_with('{') {
        return Err(Failure::invalid());
    }
    serde_json::from_str(text).map_err(|_| Failure::invalid())
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
