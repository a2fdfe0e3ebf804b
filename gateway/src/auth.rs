//! Who a token speaks for: signatures by a secret, a public key or a key server, and claims with 5 s of leeway.

mod claims;
mod config;
mod demands;
mod error;
mod identity;
mod jwks;
mod key;

pub(crate) use claims::date_ms;
pub use config::AuthConfig;
pub use error::AuthError;
pub use identity::Identity;

use jsonwebtoken::decode_header;
use service_kit::clock;

use self::{claims::Claims, demands::Demands, jwks::KeyServer, key::Key};

/// No issuer that we know of makes longer ones.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The scheme of a token in an `Authorization` header (RFC 6750, section 2.1).
const SCHEME: &str = "Bearer";

/// The token behind `Bearer ` and any number of spaces, whatever the scheme's case (RFC 9110, section 11.1); `None`
/// without it.
pub fn behind_scheme(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}

/// Checks tokens.
#[derive(Debug)]
pub struct Authenticator {
    keys: Keys,
    demands: Demands,
}

#[derive(Debug)]
enum Keys {
    Fixed(Vec<Key>),
    Server(Box<KeyServer>),
}

impl Authenticator {
    /// An authenticator by the one source of keys that is configured.
    ///
    /// Fails when there is none or more than one, the public key cannot be used, or a key server comes without an
    /// issuer and an audience.
    pub fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        let keys = match config.source()? {
            config::Source::Secrets(secrets) => Keys::Fixed(secrets.into_iter().map(Key::of_secret).collect()),
            config::Source::PublicKey(path) => Keys::Fixed(vec![Key::of_pem_file(path)?]),
            config::Source::Server(url) => Keys::Server(Box::new(KeyServer::new(url)?)),
        };
        Ok(Self { keys, demands: Demands::of(config) })
    }

    /// Whom `token` speaks for now. Whether it was revoked is not looked at.
    ///
    /// Waits for the key server, a few seconds at most, when the key is not known yet.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AuthError> {
        self.authenticate_at(token, clock::unix_ms().div_euclid(1000)).await
    }

    async fn authenticate_at(&self, token: &str, now_s: i64) -> Result<Identity, AuthError> {
        let claims = self.verify(token).await?;
        claims.identity(&self.demands, now_s)
    }

    /// The claims of a token with a good signature.
    async fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Unauthenticated);
        }
        match &self.keys {
            Keys::Fixed(keys) => keys.iter().find_map(|key| key.verify(token).ok()).ok_or(AuthError::Unauthenticated),
            Keys::Server(server) => {
                let header = decode_header(token).map_err(|_| AuthError::Unauthenticated)?;
                server.key(header.kid.as_deref(), header.alg).await?.verify(token)
            }
        }
    }
}

#[cfg(test)]
mod tests;
