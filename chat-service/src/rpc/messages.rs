//! Calls about messages, and about what else changes in a match.

use proto::chat::{
    ListChangesRequest, ListChangesResponse, ListMessagesRequest, ListMessagesResponse, list_messages_request,
};
use tonic::Status;

use super::{
    Rpc, limit,
    status::{match_id, no_match, user_id},
};
use crate::store::{Listed, ListedChanges, Position};

impl Rpc {
    pub(super) async fn messages_of(&self, request: ListMessagesRequest) -> Result<ListMessagesResponse, Status> {
        let id = match_id(request.match_id)?;
        let position = match request.position {
            None => Position::Latest,
            Some(list_messages_request::Position::Before(seq)) => Position::Before(seq),
            Some(list_messages_request::Position::After(seq)) => Position::After(seq),
        };
        let user = request.user_id.map(user_id).transpose()?;
        let page = self.store.list_messages((&id, user.as_ref()), position, limit(request.limit)).await?;
        let Listed { messages, has_more, through_seq, through_rev } = page.ok_or_else(no_match)?;
        Ok(ListMessagesResponse { messages, has_more, through_seq, through_rev })
    }

    pub(super) async fn changes_of(&self, request: ListChangesRequest) -> Result<ListChangesResponse, Status> {
        let id = match_id(request.match_id)?;
        let user = request.user_id.map(user_id).transpose()?;
        let page = self.store.list_changes((&id, user.as_ref()), request.after_rev, limit(request.limit)).await?;
        let ListedChanges { changes, through_rev, has_more } = page.ok_or_else(no_match)?;
        Ok(ListChangesResponse { changes, through_rev, has_more })
    }
}
