//! Calls about revoked tokens.

use proto::chat::{RevocationsRequest, RevocationsResponse, RevokeRequest, RevokeResponse};
use tonic::Status;
use tracing::info;

use super::{Rpc, status::user_id};
use crate::store::Revoked;

/// The longest page: less than 1 MB.
const MAX_PAGE: usize = 10_000;

impl Rpc {
    pub(super) async fn refuse_tokens(&self, request: RevokeRequest) -> Result<RevokeResponse, Status> {
        let user = user_id(request.user_id)?;
        if request.not_before_ms.is_some_and(|ms| ms < 0) {
            return Err(Status::invalid_argument("not_before_ms lies before 1970"));
        }
        let not_before_ms = self.store.revoke(&user, request.not_before_ms).await?;
        info!(%user, "tokens revoked");
        Ok(RevokeResponse { not_before_ms })
    }

    pub(super) async fn revoked_since(&self, request: RevocationsRequest) -> Result<RevocationsResponse, Status> {
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let limit = (limit > 0).then_some(limit.min(MAX_PAGE));
        let revoked = self.store.revocations((request.since_ms, &request.after_user_id), limit).await?;
        let Revoked { page: revocations, as_of_ms, epoch, has_more } = revoked;
        Ok(RevocationsResponse { revocations, as_of_ms, has_more, epoch })
    }
}
