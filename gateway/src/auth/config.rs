//! The flags that say where the keys of tokens come from.

use std::{fmt, path::PathBuf};

use anyhow::bail;
use clap::Args;

/// Where the keys of tokens come from: exactly one of these.
#[derive(Clone, Default, Args)]
pub struct AuthConfig {
    /// The shared secret of tokens signed with HS256.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,

    /// A PEM file with the public key of tokens signed with RS256, ES256 or `EdDSA`.
    #[arg(long, env = "JWT_PUBLIC_KEY", value_name = "FILE")]
    pub jwt_public_key: Option<PathBuf>,

    /// The URL of the key server's JSON Web Key Set.
    #[arg(long, env = "JWKS_URL", value_name = "URL")]
    pub jwks_url: Option<String>,
}

impl fmt::Debug for AuthConfig {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("jwt_secret", &self.jwt_secret.as_ref().map(|_| "…"))
            .field("jwt_public_key", &self.jwt_public_key)
            .field("jwks_url", &self.jwks_url)
            .finish()
    }
}

/// The configured source of keys.
pub(super) enum Source<'a> {
    Secret(&'a str),
    PublicKey(&'a std::path::Path),
    Server(&'a str),
}

impl AuthConfig {
    /// The one source that is configured. An empty value counts as none, as when a variable is set but empty.
    pub(super) fn source(&self) -> anyhow::Result<Source<'_>> {
        let secret = self.jwt_secret.as_deref().filter(|secret| !secret.is_empty());
        let path = self.jwt_public_key.as_deref().filter(|path| !path.as_os_str().is_empty());
        let url = self.jwks_url.as_deref().filter(|url| !url.is_empty());
        match (secret, path, url) {
            (Some(secret), None, None) => Ok(Source::Secret(secret)),
            (None, Some(path), None) => Ok(Source::PublicKey(path)),
            (None, None, Some(url)) => Ok(Source::Server(url)),
            (None, None, None) => bail!("no key for tokens: give --jwt-secret, --jwt-public-key or --jwks-url"),
            _ => bail!("more than one key for tokens: give only one of --jwt-secret, --jwt-public-key and --jwks-url"),
        }
    }
}
