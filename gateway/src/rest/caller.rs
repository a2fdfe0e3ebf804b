//! Who calls: a user or the app server, by the Bearer token (RFC 6750).

use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use proto::{Code, UserId};

use super::api::Api;
use crate::{
    auth::{Identity, behind_scheme},
    failure::{Failure, Problem},
    revocations::Verdict,
};

/// The user whose token came along. A service token is `FORBIDDEN`.
#[derive(Debug)]
pub(super) struct User(pub(super) UserId);

/// The app server. A user's token is `FORBIDDEN`.
#[derive(Debug)]
pub(super) struct AppServer;

/// A user, or the app server.
#[derive(Debug)]
pub(super) struct Anybody(Option<UserId>);

impl Anybody {
    /// The user, if it is one.
    pub(super) fn user(&self) -> Option<&UserId> {
        self.0.as_ref()
    }
}

impl FromRequestParts<Api> for Anybody {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match identify(parts, api).await? {
            Identity::User { id, .. } => Ok(Self(Some(id))),
            Identity::Service { .. } => Ok(Self(None)),
        }
    }
}

impl FromRequestParts<Api> for User {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match identify(parts, api).await? {
            Identity::User { id, .. } => Ok(Self(id)),
            Identity::Service { .. } => Err(Code::Forbidden.into()),
        }
    }
}

impl FromRequestParts<Api> for AppServer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match identify(parts, api).await? {
            Identity::Service { .. } => Ok(Self),
            Identity::User { .. } => Err(Code::Forbidden.into()),
        }
    }
}

async fn identify(parts: &Parts, api: &Api) -> Result<Identity, Failure> {
    let identity = api.authenticator.authenticate(bearer(parts).ok_or(Code::Unauthenticated)?).await?;
    let (name, issued_at_ms) = identity.issue();
    match api.revocations.judge(name, issued_at_ms).await {
        Verdict::Valid => Ok(identity),
        Verdict::Revoked => Err(Code::Unauthenticated.into()),
        Verdict::Undecided => Err(Code::Unavailable.into()),
    }
}

/// The token of the one `Authorization` header. Of two, a proxy and this gateway might believe different ones.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut given = parts.headers.get_all(header::AUTHORIZATION).iter();
    let credentials = given.next().filter(|_| given.next().is_none())?;
    behind_scheme(credentials.to_str().ok()?)
}
