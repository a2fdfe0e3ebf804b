//! Calls about users who are erased.

use proto::chat::{EraseUserRequest, Erasure, GetErasureRequest};
use tonic::Status;
use tracing::info;

use super::{Rpc, status::user_id};

impl Rpc {
    pub(super) async fn erase(&self, request: EraseUserRequest) -> Result<Erasure, Status> {
        let user = user_id(request.user_id)?;
        let erasure = self.store.ask_erasure(&user).await?;
        info!(%user, "is to be erased");
        Ok(erasure)
    }

    pub(super) async fn erasure_of(&self, request: GetErasureRequest) -> Result<Erasure, Status> {
        let erasure = self.store.erasure(&user_id(request.user_id)?).await?;
        erasure.ok_or_else(|| Status::not_found("nobody has asked for it"))
    }
}
