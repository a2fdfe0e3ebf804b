//! Who calls: a user or the app server, by the Bearer token (RFC 6750).

use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use proto::{Code, UserId};

use super::Api;
use crate::{auth::Identity, failure::Failure, revocations::Verdict};

/// The user whose token came along. A service token is `FORBIDDEN`.
#[derive(Debug)]
pub(super) struct User(pub(super) UserId);

/// The app server. A user's token is `FORBIDDEN`.
#[derive(Debug)]
pub(super) struct AppServer;

impl FromRequestParts<Api> for User {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match identify(parts, api).await? {
            Identity::User { id, .. } => Ok(Self(id)),
            Identity::Service => Err(Code::Forbidden.into()),
        }
    }
}

impl FromRequestParts<Api> for AppServer {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match identify(parts, api).await? {
            Identity::Service => Ok(Self),
            Identity::User { .. } => Err(Code::Forbidden.into()),
        }
    }
}

async fn identify(parts: &Parts, api: &Api) -> Result<Identity, Failure> {
    let identity = api.authenticator.authenticate(bearer(parts).ok_or(Code::Unauthenticated)?).await?;
    if let Identity::User { id, issued_at_s, .. } = &identity {
        match api.revocations.check(id, *issued_at_s) {
            Verdict::Valid => {}
            Verdict::Revoked => return Err(Code::Unauthenticated.into()),
            Verdict::Undecided => return Err(Code::Unavailable.into()),
        }
    }
    Ok(identity)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // The scheme's case does not matter (RFC 9110, section 11.1).
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
