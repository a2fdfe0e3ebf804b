//! What every token has to claim beside whom it speaks for: issuer, audience, and a life that is not too long.

use std::sync::Once;

use serde::Deserialize;
use serde_json::Value;

use super::{config::AuthConfig, error::AuthError};

/// The claims that are held against what is demanded.
#[derive(Debug, Deserialize)]
pub(super) struct Held {
    #[serde(default)]
    iss: Option<Value>,
    #[serde(default)]
    aud: Option<Value>,
}

/// What is demanded of every token. Default: nothing but an end within the longest time.
#[derive(Debug)]
pub(super) struct Demands {
    issuer: Option<String>,
    audience: Option<String>,
    max_lifetime_ms: i64,
    told: [Once; 3],
}

/// Why a token of a known key is not taken: told in the log once, as nobody else says it to the operator.
#[derive(Debug, Clone, Copy)]
enum Unmet {
    Issuer,
    Audience,
    Lifetime,
}

impl Demands {
    /// The configured demands.
    pub(super) fn of(config: &AuthConfig) -> Self {
        Self {
            issuer: config.issuer().map(str::to_owned),
            audience: config.audience().map(str::to_owned),
            max_lifetime_ms: i64::try_from(config.jwt_max_lifetime.as_millis()).unwrap_or(i64::MAX),
            told: [const { Once::new() }; 3],
        }
    }

    /// Refuses claims that do not meet the demands; `lifetime_ms` lies between their `iat` and `exp`.
    pub(super) fn check(&self, claims: &Held, lifetime_ms: i64) -> Result<(), AuthError> {
        if let Some(unmet) = self.unmet(claims, lifetime_ms) {
            self.tell(unmet);
            return Err(AuthError::Unauthenticated);
        }
        Ok(())
    }

    fn unmet(&self, claims: &Held, lifetime_ms: i64) -> Option<Unmet> {
        let is_issuer = |demanded: &str| claims.iss.as_ref().and_then(Value::as_str) == Some(demanded);
        let is_audience = |demanded: &str| claims.aud.as_ref().is_some_and(|aud| names(aud, demanded));
        if !self.issuer.as_deref().is_none_or(is_issuer) {
            Some(Unmet::Issuer)
        } else if !self.audience.as_deref().is_none_or(is_audience) {
            Some(Unmet::Audience)
        } else {
            (lifetime_ms > self.max_lifetime_ms).then_some(Unmet::Lifetime)
        }
    }

    fn tell(&self, unmet: Unmet) {
        let [issuer, audience, lifetime] = &self.told;
        match unmet {
            Unmet::Issuer => issuer.call_once(|| tracing::warn!("tokens of another issuer are refused: --jwt-issuer")),
            Unmet::Audience => {
                audience.call_once(|| tracing::warn!("tokens for another audience are refused: --jwt-audience"));
            }
            Unmet::Lifetime => {
                lifetime.call_once(|| tracing::warn!("tokens that live for too long are refused: --jwt-max-lifetime"));
            }
        }
    }
}

/// Whether the claim `aud`, a string or an array of them, names `demanded` (RFC 7519, section 4.1.3).
fn names(aud: &Value, demanded: &str) -> bool {
    match aud {
        Value::String(one) => one == demanded,
        Value::Array(several) => several.iter().any(|one| one.as_str() == Some(demanded)),
        _ => false,
    }
}
