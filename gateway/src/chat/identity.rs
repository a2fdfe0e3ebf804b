//! For which user a socket's token speaks.

use gateway_core::{Failure, validity::Validity};
use proto::{Code, UserId};

use super::context::Context;
use crate::{
    auth::{Identity, behind_scheme},
    revocations::Verdict,
};

impl Context {
    /// Whether tokens of the user that were issued then are revoked by what is known now.
    pub(super) fn is_revoked(&self, user: &UserId, issued_at_ms: i64) -> bool {
        self.revocations.check(user, issued_at_ms) == Verdict::Revoked
    }
}

/// The user that a token speaks for; `Bearer ` may stand before it. A service token is no user's.
///
/// # Errors
/// `UNAVAILABLE` while it cannot be decided.
pub(super) async fn identify(context: &Context, token: &str) -> Result<(UserId, Validity), Failure> {
    let token = behind_scheme(token).unwrap_or(token);
    let Identity::User { id, issued_at_ms, expires_at_s } = context.authenticator.authenticate(token).await? else {
        return Err(Code::Unauthenticated.into());
    };
    match context.revocations.judge(&id, issued_at_ms).await {
        Verdict::Valid => Ok((id, Validity { issued_at_ms, expires_at_s, is_revoked: false })),
        Verdict::Revoked => Err(Code::Unauthenticated.into()),
        Verdict::Undecided => Err(Failure::unavailable()),
    }
}
