//! Why a token was not accepted.

use proto::Code;
use thiserror::Error;

use crate::failure::Failure;

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
