//! The face of a refusal on REST: problem+json (RFC 9457) with our code.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use proto::Code;
use serde::Serialize;

use gateway_core::{
    failure::{Failure, Hints},
    views::to_json,
};

/// Media type of RFC 9457, section 6.1.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Type URIs only identify a kind of problem (RFC 9457, section 3.1.1).
const TYPE_PREFIX: &str = "urn:mindful-realtime:problem:";

/// A refusal by REST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub Failure);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self(code.into())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(flatten)]
    hints: Hints<'a>,
}

impl Problem {
    /// The problem document.
    pub fn json(&self) -> String {
        let Self(failure) = self;
        to_json(&Document {
            r#type: format!("{TYPE_PREFIX}{}", failure.code.as_str()),
            title: failure.code.message(),
            status: failure.code.http_status(),
            code: failure.code.as_str(),
            hints: failure.hints(),
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], self.json()).into_response();
        let headers = response.headers_mut();
        // RFC 9110, section 11.6.1, and RFC 6750, section 3.
        match self.0.code {
            Code::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::TokenExpired => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            _ => {}
        }
        if let Some(wait_ms) = self.0.retry_after_ms {
            // Whole seconds (RFC 9110, section 10.2.3), so rounded up.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000).max(1)));
        }
        response
    }
}

/// What HTTP itself refuses before any of our codes can apply: an unknown path, or a method that the path has not.
pub fn unrouted(status: StatusCode) -> Response {
    let (code, title) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("METHOD_NOT_ALLOWED", "This path does not know the method."),
        _ => ("NOT_FOUND", "There is no such path."),
    };
    let hints = Hints::default();
    let r#type = format!("{TYPE_PREFIX}{code}");
    let problem = to_json(&Document { r#type, title, status: status.as_u16(), code, hints });
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], problem).into_response()
}
