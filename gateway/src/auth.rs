//! Who a token speaks for: signatures by a secret, a public key or a key server, and claims with 5 s of leeway.

mod claims;
mod config;
mod jwks;
mod key;

pub use config::AuthConfig;

use jsonwebtoken::decode_header;
use proto::{Code, UserId};
use service_kit::clock;
use thiserror::Error;

use self::{claims::Claims, jwks::KeyServer, key::Key};
use crate::failure::Failure;

/// No issuer that we know of makes longer ones.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user.
    User {
        /// The claim `sub`.
        id: UserId,
        /// The claim `iat`: Unix time in whole seconds.
        issued_at_s: i64,
        /// When it ends, as Unix time in whole seconds: the claim `exp`, or the end of the leeway if that has passed.
        expires_at_s: i64,
    },
    /// The app server: the claim `scope` is `service`.
    Service,
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// It is no token of ours.
    #[error("the token is not valid")]
    Unauthenticated,
    /// It was one of ours.
    #[error("the token has expired")]
    Expired,
    /// Nobody can say: its key is unknown and the key server is away.
    #[error("the token cannot be checked now")]
    Undecided,
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated => Code::Unauthenticated,
            AuthError::Expired => Code::TokenExpired,
            AuthError::Undecided => Code::Unavailable,
        }
        .into()
    }
}

/// Checks tokens.
#[derive(Debug)]
pub struct Authenticator {
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    One(Box<Key>),
    Server(Box<KeyServer>),
}

impl Authenticator {
    /// An authenticator by the one source of keys that is configured.
    ///
    /// Fails when there is none or more than one, or the public key cannot be used.
    pub fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        let keys = match config.source()? {
            config::Source::Secret(secret) => Keys::One(Box::new(Key::of_secret(secret))),
            config::Source::PublicKey(path) => Keys::One(Box::new(Key::of_pem_file(path)?)),
            config::Source::Server(url) => Keys::Server(Box::new(KeyServer::new(url)?)),
        };
        Ok(Self { keys })
    }

    /// Whom `token` speaks for now. Whether it was revoked is not looked at.
    ///
    /// Waits for the key server, a few seconds at most, when the key is not known yet.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AuthError> {
        self.authenticate_at(token, clock::unix_ms().div_euclid(1000)).await
    }

    async fn authenticate_at(&self, token: &str, now_s: i64) -> Result<Identity, AuthError> {
        let claims = self.verify(token).await?;
        claims.identity(now_s)
    }

    /// The claims of a token with a good signature.
    async fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Unauthenticated);
        }
        match &self.keys {
            Keys::One(key) => key.verify(token),
            Keys::Server(server) => {
                let header = decode_header(token).map_err(|_| AuthError::Unauthenticated)?;
                server.key(header.kid.as_deref(), header.alg).await?.verify(token)
            }
        }
    }
}

#[cfg(test)]
mod tests;
