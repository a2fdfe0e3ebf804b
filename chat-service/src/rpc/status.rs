//! How a failure looks to a caller.

use proto::{IdError, MatchId, UserId};
use tonic::Status;
use tracing::{error, warn};

use crate::{outcome::Refusal, store::StoreError};

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
