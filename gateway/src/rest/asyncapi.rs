//! The description of the events, as a machine reads it (`AsyncAPI` 3). It refers to that of REST for what both have.

use axum::response::Response;
use http::StatusCode;

use super::answers::json;

/// The document.
const DOCUMENT: &str = include_str!("../../asyncapi.json");

/// `GET /asyncapi.json`.
pub(super) async fn document() -> Response {
    json(StatusCode::OK, DOCUMENT.to_owned())
}
