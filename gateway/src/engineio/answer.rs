//! What a request is answered with when it succeeds.

use axum::body::Body;
use http::{HeaderValue, Response, header};

/// A successful answer.
pub(super) fn answer(content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
