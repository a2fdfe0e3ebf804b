//! The claims of a token whose signature is good, judged against the clock and what is demanded.

use proto::UserId;
use serde::Deserialize;
use serde_json::{Number, Value};

use super::{
    demands::{Demands, Held},
    error::AuthError,
    identity::Identity,
};

/// How far the clocks of the issuer and the gateway may differ, in seconds.
pub(super) const LEEWAY_S: i64 = 5;
const SERVICE_SCOPE: &str = "service";
/// The name of an app server whose token has no usable `sub`, so that its tokens, too, can be revoked.
const SERVICE_NAME: &str = "app-server";

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
    #[serde(flatten)]
    held: Held,
}

impl Claims {
    /// Whom the token speaks for at `now_s`, a Unix time in seconds.
    pub(super) fn identity(&self, demands: &Demands, now_s: i64) -> Result<Identity, AuthError> {
        let issued_at_ms = required_date(self.iat.as_ref())?;
        let end_ms = required_date(self.exp.as_ref())?;
        let begins_ms = self.nbf.as_ref().map_or(Ok(issued_at_ms), |nbf| required_date(Some(nbf)))?;
        if issued_at_ms.max(begins_ms).div_euclid(1_000) > now_s + LEEWAY_S {
            return Err(AuthError::Unauthenticated);
        }
        demands.check(&self.held, end_ms - issued_at_ms)?;
        let expires_at_s = end_ms.div_euclid(1_000);
        // Who comes within the leeway is not cut off before its end, only to come back and be cut off again.
        let expires_at_s = if expires_at_s <= now_s { expires_at_s + LEEWAY_S } else { expires_at_s };
        let identity = if self.scope.as_ref().and_then(Value::as_str) == Some(SERVICE_SCOPE) {
            Identity::Service { name: self.service()?, issued_at_ms }
        } else {
            Identity::User { id: self.user()?, issued_at_ms, expires_at_s }
        };
        if expires_at_s <= now_s { Err(AuthError::Expired) } else { Ok(identity) }
    }

    fn user(&self) -> Result<UserId, AuthError> {
        let sub = self.sub.as_ref().and_then(Value::as_str).ok_or(AuthError::Unauthenticated)?;
        UserId::new(sub).map_err(|_| AuthError::Unauthenticated)
    }

    fn service(&self) -> Result<UserId, AuthError> {
        self.user().or_else(|_| UserId::new(SERVICE_NAME).map_err(|_| AuthError::Unauthenticated))
    }
}

fn required_date(claim: Option<&Value>) -> Result<i64, AuthError> {
    claim.and_then(Value::as_number).and_then(date_ms).ok_or(AuthError::Unauthenticated)
}

/// A `NumericDate` (RFC 7519, section 2) in whole milliseconds, rounded down; it may have a fraction. `None` before
/// 1970 and past the year 9999.
pub(crate) fn date_ms(date: &Number) -> Option<i64> {
    const END_S: i64 = 253_402_300_800;
    const LAST_MS: i64 = END_S * 1_000 - 1;
    let ms = if let Some(seconds) = date.as_i64() {
        seconds.checked_mul(1_000)?
    } else {
        // The nearest microsecond first: what is written as .123 may be a little less as a float. It saturates beyond
        // what is refused.
        #[allow(clippy::cast_possible_truncation)]
        let us = (date.as_f64()? * 1e6).round() as i64;
        us.div_euclid(1_000)
    };
    (0..=LAST_MS).contains(&ms).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<i64> {
        date_ms(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_date_is_exact_to_the_millisecond() {
        for ms in (0..1_000).map(|ms| 1_767_225_600_000 + ms) {
            assert_eq!(read(&format!("{}.{:03}", ms / 1_000, ms % 1_000)), Some(ms));
        }
        assert_eq!(read("1767225600.9999"), Some(1_767_225_600_999));
        assert_eq!(read("1.7672256e9"), Some(1_767_225_600_000));
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("253402300799"), Some(253_402_300_799_000));
    }

    #[test]
    fn dates_that_nobody_means_are_none() {
        for text in ["-1", "-0.5", "253402300800", "9223372036854775807", "18446744073709551615", "1e300", "-1e300"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
