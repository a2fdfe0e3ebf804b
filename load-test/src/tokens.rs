//! Tokens for the simulated users, signed with the secret of a local or test stack (RFC 7519, HS256).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// Signs tokens that outlive the run.
pub struct TokenIssuer {
    key: EncodingKey,
    issued_at_s: u64,
    lifetime_s: u64,
}

impl TokenIssuer {
    /// Tokens issued now that are valid for `lifetime`.
    #[expect(clippy::disallowed_methods, reason = "a tool that takes nothing else from the service kit")]
    pub fn new(secret: &str, lifetime: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
            issued_at_s: now.as_secs(),
            lifetime_s: lifetime.as_secs(),
        }
    }

    /// The same tokens, issued and expiring this much earlier: a service whose clock is behind takes them too.
    #[must_use]
    pub fn backdated(mut self, by: Duration) -> Self {
        self.issued_at_s = self.issued_at_s.saturating_sub(by.as_secs());
        self
    }

    /// A user's token.
    pub fn user(&self, user: &str) -> anyhow::Result<String> {
        self.sign(user, None)
    }

    /// The app server's token.
    pub fn service(&self) -> anyhow::Result<String> {
        self.sign("load-test", Some("service"))
    }

    fn sign(&self, sub: &str, scope: Option<&str>) -> anyhow::Result<String> {
        let claims = Claims { sub, iat: self.issued_at_s, exp: self.issued_at_s + self.lifetime_s, scope };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)?)
    }
}
