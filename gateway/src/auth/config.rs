//! The flags that say where the keys of tokens come from, and what every token has to claim.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{bail, ensure};
use clap::Args;
use service_kit::period;

/// As long as the hash, or it is the weaker part (RFC 7518, section 3.2).
pub(super) const MIN_SECRET_BYTES: usize = 32;

/// As the flag's default says it.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Where the keys of tokens come from, exactly one of three sources, and what tokens have to claim.
#[derive(Clone, Args)]
pub struct AuthConfig {
    /// The shared secret of tokens signed with HS256, of at least 32 bytes. For a rotation there may be several, and
    /// all are believed: the flag given more than once, or the secrets separated by commas, if each of them has at
    /// least 32 bytes (otherwise the value with its commas is one secret).
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Vec<String>,

    /// A PEM file with the public key of tokens signed with RS256, ES256 or `EdDSA`.
    #[arg(long, env = "JWT_PUBLIC_KEY", value_name = "FILE")]
    pub jwt_public_key: Option<PathBuf>,

    /// The URL of the key server's JSON Web Key Set. It needs `--jwt-issuer` and `--jwt-audience`, as a key server may
    /// sign the tokens of other applications too.
    #[arg(long, env = "JWKS_URL", value_name = "URL")]
    pub jwks_url: Option<String>,

    /// What the claim `iss` of every token must be. Absent: it is not looked at.
    #[arg(long, env = "JWT_ISSUER", value_name = "ISS")]
    pub jwt_issuer: Option<String>,

    /// What the claim `aud` of every token must be or hold. Absent: it is not looked at.
    #[arg(long, env = "JWT_AUDIENCE", value_name = "AUD")]
    pub jwt_audience: Option<String>,

    /// The longest time from a token's `iat` to its `exp`, as `30d`, `12h`, `15m`, `3600s` or in seconds; at most
    /// `--revocation-retention` of chat-service less a day.
    #[arg(long, env = "JWT_MAX_LIFETIME", value_name = "TIME", default_value = "30d", value_parser = period::parse)]
    pub jwt_max_lifetime: Duration,
}

impl Default for AuthConfig {
    /// No source of keys, and the flags' defaults.
    fn default() -> Self {
        Self {
            jwt_secret: Vec::new(),
            jwt_public_key: None,
            jwks_url: None,
            jwt_issuer: None,
            jwt_audience: None,
            jwt_max_lifetime: DEFAULT_MAX_LIFETIME,
        }
    }
}

impl fmt::Debug for AuthConfig {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("jwt_secret", &format_args!("{} given", self.jwt_secret.len()))
            .field("jwt_public_key", &self.jwt_public_key)
            .field("jwks_url", &self.jwks_url)
            .field("jwt_issuer", &self.jwt_issuer)
            .field("jwt_audience", &self.jwt_audience)
            .field("jwt_max_lifetime", &self.jwt_max_lifetime)
            .finish()
    }
}

/// The configured source of keys.
pub(super) enum Source<'a> {
    Secrets(Vec<&'a str>),
    PublicKey(&'a Path),
    Server(&'a str),
}

impl AuthConfig {
    /// The one source that is configured. An empty value counts as none, as when a variable is set but empty.
    pub(super) fn source(&self) -> anyhow::Result<Source<'_>> {
        let secrets: Vec<&str> = self.jwt_secret.iter().flat_map(|given| secrets_of(given)).collect();
        let path = self.jwt_public_key.as_deref().filter(|path| !path.as_os_str().is_empty());
        let url = present(self.jwks_url.as_deref());
        match (secrets.is_empty(), path, url) {
            (false, None, None) => Ok(Source::Secrets(secrets)),
            (true, Some(path), None) => Ok(Source::PublicKey(path)),
            (true, None, Some(url)) => {
                ensure!(
                    self.issuer().is_some() && self.audience().is_some(),
                    "--jwks-url needs --jwt-issuer and --jwt-audience: the key server may sign tokens of other applications"
                );
                Ok(Source::Server(url))
            }
            (true, None, None) => bail!("no key for tokens: give --jwt-secret, --jwt-public-key or --jwks-url"),
            _ => bail!("more than one key for tokens: give only one of --jwt-secret, --jwt-public-key and --jwks-url"),
        }
    }

    /// The demanded `iss`.
    pub(super) fn issuer(&self) -> Option<&str> {
        present(self.jwt_issuer.as_deref())
    }

    /// The demanded `aud`.
    pub(super) fn audience(&self) -> Option<&str> {
        present(self.jwt_audience.as_deref())
    }
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// The secrets that one value stands for: itself and, where every part between commas is long enough for a secret, the
/// parts. So a secret that happens to have a comma never becomes two weak ones, and never stops to count.
fn secrets_of(given: &str) -> Vec<&str> {
    if given.is_empty() {
        return Vec::new();
    }
    let parts = given.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut secrets: Vec<&str> = parts.collect();
    if secrets.iter().any(|part| part.len() < MIN_SECRET_BYTES) {
        secrets.clear();
    }
    if !secrets.contains(&given) {
        secrets.push(given);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        auth: AuthConfig,
    }

    #[test]
    fn the_longest_life_of_a_token_is_thirty_days_unless_a_flag_says_otherwise() {
        let lifetime = |flags: &[&str]| Flags::parse_from([&["gateway"], flags].concat()).auth.jwt_max_lifetime;
        assert_eq!(lifetime(&[]), AuthConfig::default().jwt_max_lifetime);
        assert_eq!(lifetime(&["--jwt-max-lifetime", "12h"]), Duration::from_hours(12));
    }

    #[test]
    fn the_flag_of_a_secret_may_be_given_more_than_once() {
        let flags = ["gateway", "--jwt-secret", "new", "--jwt-secret", "old"];
        assert!(
            matches!(Flags::parse_from(flags).auth.source().unwrap(), Source::Secrets(both) if both == ["new", "old"])
        );
    }

    #[test]
    fn a_value_with_commas_is_a_list_only_if_every_part_is_long_enough() {
        let [new, old] = ["n", "o"].map(|letter| letter.repeat(MIN_SECRET_BYTES));
        let list = format!("{new}, {old},");
        assert_eq!(secrets_of(&list), [&new, &old, &list]);
        assert_eq!(secrets_of(&new), [&new]);
        let with_comma = format!("{new},{}", "s".repeat(MIN_SECRET_BYTES - 1));
        assert_eq!(secrets_of(&with_comma), [&with_comma]);
        assert_eq!(secrets_of("a,b"), ["a,b"]);
        assert_eq!(secrets_of(","), [","]);
        assert!(secrets_of("").is_empty());
    }
}
