//! JWTs for the local stack: HS256 with the secret of its data folder.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args};
use jsonwebtoken::{EncodingKey, Header, encode};
use proto::UserId;
use serde::Serialize;

use crate::{
    secret,
    stack::{DEFAULT_DIR, Manifest},
};

/// A trial goes over days, and the secret never leaves this machine.
const DEFAULT_TTL_S: u64 = 30 * 24 * 3600;
/// The `sub` of the app server's token.
const SERVICE_SUBJECT: &str = "app-server";

/// Whose tokens to print.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("who").required(true).args(["user", "service", "many"])))]
pub struct TokenArgs {
    /// The user's id
    user: Option<String>,
    /// The app server's token (scope "service"): it creates and closes matches by REST
    #[arg(long)]
    service: bool,
    /// N lines for the users PREFIX0 … PREFIX(N-1)
    #[arg(long, num_args = 2, value_names = ["PREFIX", "N"])]
    many: Option<Vec<String>>,
    /// The data folder of the stack
    #[arg(long, default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// How long it is valid, in seconds; the gateways take at most 30 days
    #[arg(long, default_value_t = DEFAULT_TTL_S, conflicts_with = "expired")]
    ttl_s: u64,
    /// One that expired an hour ago
    #[arg(long)]
    expired: bool,
}

/// What a token claims; times in seconds since 1970.
#[derive(Debug, PartialEq, Serialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

/// The text that signs the stack's tokens (HS256). Made if the folder has none yet.
///
/// # Errors
/// When the folder cannot be written.
pub fn jwt_secret(dir: &Path) -> Result<String> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    secret::read_or_create(&dir.join("jwt-secret"))
}

/// The app server's token.
///
/// # Errors
/// When the crypto library refuses.
pub fn service_token(secret: &str) -> Result<String> {
    let now = now_s()?;
    sign(secret, &Claims { sub: SERVICE_SUBJECT.to_owned(), iat: now, exp: now + 3600, scope: Some("service") })
}

/// Prints the tokens that the arguments ask for, one a line.
///
/// # Errors
/// When an id is malformed or the folder cannot be written.
pub fn print(args: &TokenArgs) -> Result<()> {
    let claims = claims(args, now_s()?)?;
    // A running stack may have been given another one.
    let secret = Manifest::read(&args.dir).map_or_else(|_| jwt_secret(&args.dir), |stack| Ok(stack.jwt_secret))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for claims in &claims {
        writeln!(out, "{}", sign(&secret, claims)?)?;
    }
    Ok(out.flush()?)
}

fn claims(args: &TokenArgs, now: u64) -> Result<Vec<Claims>> {
    let (iat, exp) = if args.expired { (now - 7200, now - 3600) } else { (now, now + args.ttl_s) };
    if args.service {
        return Ok(vec![Claims { sub: SERVICE_SUBJECT.to_owned(), iat, exp, scope: Some("service") }]);
    }
    subjects(args)?.into_iter().map(|sub| Ok(Claims { sub: String::from(sub), iat, exp, scope: None })).collect()
}

fn subjects(args: &TokenArgs) -> Result<Vec<UserId>> {
    let user_id = |text: &str| UserId::new(text).with_context(|| format!("not a user id: {text:?}"));
    match (&args.user, args.many.as_deref()) {
        (Some(user), _) => Ok(vec![user_id(user)?]),
        (None, Some([prefix, count])) => {
            let count: u32 = count.parse().with_context(|| format!("not a number: {count:?}"))?;
            (0..count).map(|i| user_id(&format!("{prefix}{i}"))).collect()
        }
        _ => bail!("name a user, --service or --many"),
    }
}

fn sign(secret: &str, claims: &Claims) -> Result<String> {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).context("cannot sign a token")
}

#[expect(clippy::disallowed_methods, reason = "tokens are made by hand for now, and no test waits for them")]
fn now_s() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn claims_of(line: &str) -> Result<Vec<Claims>> {
        let words = std::iter::once("token").chain(line.split_whitespace());
        claims(&Cli::try_parse_from(words)?.args, 1_000_000)
    }

    #[test]
    fn a_user_gets_a_token_with_their_id() {
        let expected = Claims { sub: "alice".to_owned(), iat: 1_000_000, exp: 1_000_060, scope: None };
        assert_eq!(claims_of("alice --ttl-s 60").unwrap(), [expected]);
    }

    #[test]
    fn the_service_token_has_its_scope() {
        assert_eq!(claims_of("--service").unwrap()[0].scope, Some("service"));
    }

    #[test]
    fn many_users_are_numbered_from_zero() {
        let subs: Vec<String> = claims_of("--many u 3").unwrap().into_iter().map(|claims| claims.sub).collect();
        assert_eq!(subs, ["u0", "u1", "u2"]);
    }

    #[test]
    fn an_expired_token_expired_beyond_any_leeway() {
        assert!(claims_of("alice --expired").unwrap()[0].exp <= 1_000_000 - 3600);
    }

    #[test]
    fn bad_requests_are_refused() {
        for line in ["", "a.b", "alice --service", "--many u", "--many u x", "alice --expired --ttl-s 5"] {
            assert!(claims_of(line).is_err(), "{line}");
        }
    }
}
