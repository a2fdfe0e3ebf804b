//! The claims of a token whose signature is good, judged against the clock.

use proto::UserId;
use serde::Deserialize;
use serde_json::{Number, Value};

use super::{AuthError, Identity};

/// How far the clocks of the issuer and the gateway may differ, in seconds.
const LEEWAY_S: i64 = 5;
const SERVICE_SCOPE: &str = "service";

/// The claims that are looked at. Malformed ones count as missing.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    sub: Option<Value>,
    #[serde(default)]
    iat: Option<Value>,
    #[serde(default)]
    exp: Option<Value>,
    #[serde(default)]
    nbf: Option<Value>,
    #[serde(default)]
    scope: Option<Value>,
}

impl Claims {
    /// Whom the token speaks for at `now_s`, a Unix time in seconds.
    pub(super) fn identity(&self, now_s: i64) -> Result<Identity, AuthError> {
        let issued_at_s = required_date(self.iat.as_ref())?;
        let expires_at_s = required_date(self.exp.as_ref())?;
        let begins_s = self.nbf.as_ref().map_or(Ok(issued_at_s), |nbf| required_date(Some(nbf)))?;
        if issued_at_s.max(begins_s) > now_s + LEEWAY_S {
            return Err(AuthError::Unauthenticated);
        }
        // Who comes within the leeway is not cut off before its end, only to come back and be cut off again.
        let ends_at_s = if expires_at_s <= now_s { expires_at_s + LEEWAY_S } else { expires_at_s };
        let identity = if self.scope.as_ref().and_then(Value::as_str) == Some(SERVICE_SCOPE) {
            Identity::Service
        } else {
            Identity::User { id: self.user()?, issued_at_s, expires_at_s: ends_at_s }
        };
        if ends_at_s <= now_s { Err(AuthError::Expired) } else { Ok(identity) }
    }

    fn user(&self) -> Result<UserId, AuthError> {
        let sub = self.sub.as_ref().and_then(Value::as_str).ok_or(AuthError::Unauthenticated)?;
        UserId::new(sub).map_err(|_| AuthError::Unauthenticated)
    }
}

fn required_date(claim: Option<&Value>) -> Result<i64, AuthError> {
    claim.and_then(Value::as_number).and_then(whole_seconds).ok_or(AuthError::Unauthenticated)
}

/// A `NumericDate` (RFC 7519, section 2) in whole seconds; it may have a fraction. Dates past the year 9999 are none.
fn whole_seconds(date: &Number) -> Option<i64> {
    const LAST_S: i64 = 253_402_300_799;
    let seconds = date.as_i64().or_else(|| {
        let seconds = date.as_f64()?.floor();
        // Saturates, and what saturates is refused below.
        #[allow(clippy::cast_possible_truncation)]
        Some(seconds as i64)
    })?;
    (0..=LAST_S).contains(&seconds).then_some(seconds)
}
