//! The description of the API, as a machine reads it (OpenAPI 3.1).

use axum::response::Response;
use http::StatusCode;

use super::answers::json;

/// The document.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    json(StatusCode::OK, DOCUMENT.to_owned())
}

#[cfg(test)]
mod tests {
    use proto::Code;
    use serde_json::Value;

    use super::*;
    use crate::failure::{Failure, Problem};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn the_described_refusals_are_the_real_ones() {
        let refusals = [
            ("BadRequest", Code::InvalidPayload),
            ("Unauthorized", Code::Unauthenticated),
            ("Forbidden", Code::Forbidden),
            ("NotFound", Code::MatchNotFound),
            ("Conflict", Code::IdempotencyConflict),
            ("Gone", Code::MatchClosed),
            ("TooLarge", Code::PayloadTooLarge),
            ("TooMany", Code::RateLimited),
            ("Internal", Code::Internal),
            ("Unavailable", Code::Unavailable),
        ];
        let document = document();
        let responses = &document["components"]["responses"];
        assert_eq!(responses.as_object().unwrap().len(), refusals.len());
        for (name, code) in refusals {
            let mut failure = Failure::from(code);
            failure.retry_after_ms = (code == Code::RateLimited).then_some(1200);
            let real: Value = serde_json::from_str(&Problem(failure).json()).unwrap();
            assert_eq!(responses[name]["content"]["application/problem+json"]["example"], real);
        }
    }

    #[test]
    fn every_refusal_of_an_operation_stands_under_its_status() {
        let document = document();
        let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
        for (_, operation) in operations.filter(|(method, _)| *method != "parameters") {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(reference) = response["$ref"].as_str() else { continue };
                let shared = &document.pointer(reference.trim_start_matches('#')).unwrap();
                let example = &shared["content"]["application/problem+json"]["example"];
                assert_eq!(example["status"].to_string(), *status, "{}", operation["operationId"]);
            }
        }
    }
}
