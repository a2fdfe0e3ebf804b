//! Calls about whom users have blocked.

use proto::{
    UserId,
    chat::{
        Code, DeleteBlockRequest, DeleteBlockResponse, Failure, ListBlocksRequest, ListBlocksResponse, PutBlockRequest,
        PutBlockResponse,
    },
    inbox::{MatchClosed, SharingChanged, chat_event::Event},
};
use tonic::Status;
use tracing::info;

use super::{Rpc, limit, status::user_id};
use crate::news::Logged;

impl Rpc {
    /// Every call tells the inboxes, so that one whose news were lost can be repeated.
    pub(super) async fn block(&self, request: PutBlockRequest) -> Result<PutBlockResponse, Status> {
        let both = [user_id(request.user_id)?, user_id(request.blocked_id)?];
        if both[0] == both[1] {
            return Err(Status::invalid_argument("nobody blocks oneself"));
        }
        let Some(closings) = self.store.put_block(&both[0], &both[1]).await? else {
            let failure = Failure { code: Code::Forbidden.into(), ..Failure::default() };
            return Ok(PutBlockResponse { failure: Some(failure) });
        };
        info!(user = %both[0], closed = closings.len(), "has blocked somebody");
        self.tell_closed(&both, closings).await;
        self.tell_apart(&both).await;
        Ok(PutBlockResponse { failure: None })
    }

    /// What the two show each other in common groups has begun or stopped.
    async fn tell_apart(&self, both: &[UserId]) {
        let _ = self.inbox.publish(both, Event::SharingChanged(SharingChanged {})).await;
    }

    /// What is not told the gateways see when they compare heads.
    async fn tell_closed(&self, both: &[UserId], closings: Vec<Logged>) {
        for Logged { match_id, change } in closings {
            let (match_id, rev, after_seq) = (match_id.to_string(), change.rev, change.after_seq);
            let _ = self.inbox.publish(both, Event::MatchClosed(MatchClosed { match_id, rev, after_seq })).await;
        }
    }

    pub(super) async fn unblock(&self, request: DeleteBlockRequest) -> Result<DeleteBlockResponse, Status> {
        let both = [user_id(request.user_id)?, user_id(request.blocked_id)?];
        self.store.delete_block(&both[0], &both[1]).await?;
        self.tell_apart(&both).await;
        Ok(DeleteBlockResponse {})
    }

    pub(super) async fn blocks_of(&self, request: ListBlocksRequest) -> Result<ListBlocksResponse, Status> {
        let (user, after) = (user_id(request.user_id)?, request.after.map(user_id).transpose()?);
        let after = after.as_ref().map_or("", |user| user.as_str());
        let (blocks, has_more) = self.store.list_blocks(&user, after, limit(request.limit)).await?;
        Ok(ListBlocksResponse { blocks, has_more })
    }
}
