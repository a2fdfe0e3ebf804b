//! `/users/{id}/revoke`: the app server takes a user's tokens back.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::UserId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service_kit::clock;
use tokio::time::sleep;

use super::{answers::json, api::Api, body::OptionalBody, caller::AppServer, params::TheUser};
use crate::{
    auth::date_ms,
    failure::{Failure, Problem},
    views::to_json,
};

/// How far ahead of this clock a `notBefore` may lie: an issuer's clock may be wrong, but a user must not be locked out
/// for good.
const MAX_AHEAD_MS: i64 = 24 * 3_600 * 1_000;
/// The answer waits until a token that is issued after it can be good, so that who signs the user in at once has no
/// token that is refused: at most for the second that the default is rounded up to.
const LONGEST_WAIT_MS: i64 = 1_000;
/// And at least until the other gateways have asked for revocations once more.
const SHORTEST_WAIT_MS: i64 = 350;

/// What is to be revoked.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revocation {
    not_before: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revoked<'a> {
    user_id: &'a str,
    not_before: String,
}

/// `POST /users/{id}/revoke`: refuses every token of the user that was issued before a time, on all gateways within a
/// second.
pub(super) async fn revoke(
    _: AppServer,
    State(api): State<Api>,
    TheUser(user): TheUser,
    body: OptionalBody,
) -> Result<Response, Problem> {
    let asked = body.read::<Revocation>()?.not_before_ms(clock::unix_ms())?;
    let not_before_ms = refuse_tokens(&api, &user, asked, Duration::ZERO).await?;
    let not_before = clock::rfc3339(not_before_ms);
    Ok(json(StatusCode::OK, to_json(&Revoked { user_id: user.as_str(), not_before })))
}

/// Refuses the user's tokens that were issued before a time, as [`revoke`] does, and waits for at least so long.
/// Returns the time that counts.
pub(super) async fn refuse_tokens(
    api: &Api,
    user: &UserId,
    asked_ms: Option<i64>,
    at_least: Duration,
) -> Result<i64, Failure> {
    let not_before_ms = api.services.revoke(user, asked_ms).await?;
    api.revocations.note(user, not_before_ms);
    sleep(wait(not_before_ms, clock::unix_ms()).max(at_least)).await;
    Ok(not_before_ms)
}

impl Revocation {
    /// The time that is asked for, as Unix time in milliseconds, rounded up: an RFC 3339 time, or a `NumericDate` as in
    /// tokens.
    fn not_before_ms(&self, now_ms: i64) -> Result<Option<i64>, Failure> {
        let Some(given) = &self.not_before else { return Ok(None) };
        let ms = match given {
            Value::String(text) => clock::from_rfc3339(text),
            Value::Number(date) => date_ms(date),
            _ => None,
        };
        let latest = now_ms.saturating_add(MAX_AHEAD_MS);
        ms.filter(|ms| (0..=latest).contains(ms)).map(Some).ok_or_else(Failure::invalid)
    }
}

/// How long the answer waits.
fn wait(not_before_ms: i64, now_ms: i64) -> Duration {
    let until_good_ms = not_before_ms.saturating_sub(now_ms);
    // A later time was named by somebody who knows that his tokens are not good yet.
    let wait_ms = if until_good_ms > LONGEST_WAIT_MS { SHORTEST_WAIT_MS } else { until_good_ms.max(SHORTEST_WAIT_MS) };
    Duration::from_millis(wait_ms.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW_MS: i64 = 1_767_225_600_000;

    fn asked(body: &Value) -> Result<Option<i64>, Failure> {
        serde_json::from_value::<Revocation>(body.clone()).unwrap().not_before_ms(NOW_MS)
    }

    #[test]
    fn a_time_is_given_in_rfc_3339_or_as_in_tokens() {
        for body in [json!({}), json!({ "notBefore": null }), json!({ "other": 1 })] {
            assert_eq!(asked(&body), Ok(None), "{body}");
        }
        let times = [
            (json!("2026-01-01T00:00:00.000Z"), NOW_MS),
            (json!("2026-01-01T01:00:00.0005+01:00"), NOW_MS + 1),
            (json!("2026-01-02T00:00:00Z"), NOW_MS + MAX_AHEAD_MS),
            (json!(1_767_225_600), NOW_MS),
            (json!(1_767_225_600.25), NOW_MS + 250),
            (json!(0), 0),
        ];
        for (given, ms) in times {
            assert_eq!(asked(&json!({ "notBefore": given })), Ok(Some(ms)), "{given}");
        }
    }

    #[test]
    fn what_is_no_time_or_too_far_ahead_is_refused() {
        let given = [
            json!("now"),
            json!(""),
            json!("1767225600"),
            json!("2026-01-01T00:00:00"),
            json!("2026-01-02T00:00:00.001Z"),
            json!("1969-12-31T23:59:59Z"),
            json!(NOW_MS),
            json!(-1),
            json!(1e300),
            json!(true),
            json!([1_767_225_600]),
            json!({ "seconds": 1_767_225_600 }),
        ];
        for given in given {
            assert_eq!(asked(&json!({ "notBefore": given })), Err(Failure::invalid()), "{given}");
        }
    }

    #[test]
    fn the_answer_waits_for_the_whole_second_and_not_for_a_later_time() {
        let waits = [(0, 350), (349, 350), (700, 700), (1_000, 1_000), (1_001, 350), (-5_000, 350), (86_400_000, 350)];
        for (ahead_ms, wait_ms) in waits {
            assert_eq!(wait(NOW_MS + ahead_ms, NOW_MS), Duration::from_millis(wait_ms), "{ahead_ms}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_refused(text in ".{0,40}") {
            let _ = asked(&json!({ "notBefore": text }));
        }
    }
}
