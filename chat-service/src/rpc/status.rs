//! How a failure looks to a caller.

use proto::{
    IdError, MatchId, UserId,
    chat::{Code, Failure},
};
use tonic::Status;
use tracing::{error, warn};

use crate::{outcome::Refusal, store::StoreError};

/// When a user who has added too many may add another one at the earliest: an hour.
const RETRY_TOO_MANY_MS: i64 = 3_600_000;

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::NewerSchema { .. } => {
                warn!(%error, "a call failed");
                Self::unavailable("PostgreSQL is not available")
            }
            StoreError::Refused(_) => {
                error!(%error, "a call failed");
                Self::internal("PostgreSQL refuses")
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoMatch => Self::not_found(message),
            Refusal::NotReached | Refusal::OtherKind | Refusal::Closed | Refusal::NobodyLeft => {
                Self::failed_precondition(message)
            }
            Refusal::MayNot(_) => Self::permission_denied(message),
            Refusal::MembersChanged => Self::aborted(message),
            Refusal::TooManyMembers => Self::resource_exhausted(message),
            Refusal::Unavailable => Self::unavailable(message),
            Refusal::Broken => Self::internal(message),
        }
    }
}

pub(super) fn match_id(text: String) -> Result<MatchId, Status> {
    MatchId::new(text).map_err(malformed)
}

pub(super) fn user_id(text: String) -> Result<UserId, Status> {
    UserId::new(text).map_err(malformed)
}

pub(super) fn no_match() -> Status {
    Refusal::NoMatch.into()
}

pub(super) fn malformed(error: IdError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// What the caller is told; a status where nobody knows what has become of the command.
pub(super) fn failure(refusal: Refusal) -> Result<Failure, Status> {
    let code = match refusal {
        Refusal::MayNot(code) => code,
        Refusal::NoMatch => Code::MatchNotFound,
        refusal => return Err(refusal.into()),
    };
    let retry_after_ms = (code == Code::RateLimited).then_some(RETRY_TOO_MANY_MS);
    Ok(Failure { code: code.into(), retry_after_ms, of_sender: true })
}
