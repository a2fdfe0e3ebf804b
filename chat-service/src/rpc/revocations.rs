//! Calls about revoked tokens.

use proto::chat::{RevocationsRequest, RevocationsResponse, RevokeRequest, RevokeResponse};
use tonic::Status;
use tracing::info;

use super::{Rpc, status::user_id};

impl Rpc {
    pub(super) async fn refuse_tokens(&self, request: RevokeRequest) -> Result<RevokeResponse, Status> {
        let user = user_id(request.user_id)?;
        let not_before_ms = self.store.revoke(&user).await?;
        info!(%user, "tokens revoked");
        Ok(RevokeResponse { not_before_ms })
    }

    pub(super) async fn revoked_since(&self, request: RevocationsRequest) -> Result<RevocationsResponse, Status> {
        let (revocations, as_of_ms) = self.store.revocations(request.since_ms).await?;
        Ok(RevocationsResponse { revocations, as_of_ms })
    }
}
