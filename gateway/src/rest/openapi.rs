//! The description of the API, as a machine reads it (OpenAPI 3.1).

use axum::response::Response;
use http::StatusCode;

use super::json;

/// The document.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    json(StatusCode::OK, DOCUMENT.to_owned())
}
