//! Calls about matches.

use proto::{
    UserId,
    chat::{
        CloseMatchRequest, CloseMatchResponse, GetMatchRequest, GetMatchResponse, HeadsRequest, HeadsResponse,
        ListMatchesRequest, ListMatchesResponse, PutMatchRequest, PutMatchResponse,
    },
};
use tonic::Status;
use tracing::info;

use super::{
    Rpc, limit,
    status::{match_id, no_match, user_id},
};
use crate::{
    command::CloseMatch,
    heads::Asked,
    store::{Page, Put},
};

/// The most matches whose heads one call may ask for.
const MAX_HEADS: usize = 1_000;

impl Rpc {
    pub(super) async fn get(&self, request: GetMatchRequest) -> Result<GetMatchResponse, Status> {
        let id = match_id(request.match_id)?;
        // Before anything of the match is read: how much there is of it would show in the time.
        if let Some(user) = request.user_id.map(user_id).transpose()? {
            self.members.of(&id, &user).await?.ok_or_else(no_match)?;
        }
        let page = self.store.get_match(&id, request.since_seq, limit(request.limit)).await?.ok_or_else(no_match)?;
        let Page { found, messages, has_more, epoch } = page;
        Ok(GetMatchResponse { r#match: Some(found), messages, has_more, epoch })
    }

    pub(super) async fn put(&self, request: PutMatchRequest) -> Result<PutMatchResponse, Status> {
        let id = match_id(request.match_id)?;
        let members = pair(request.members)?;
        match self.store.put_match(&id, &members).await? {
            Put::Created(found) => Ok(PutMatchResponse { r#match: Some(found), created: true }),
            Put::Present(found) => Ok(PutMatchResponse { r#match: Some(found), created: false }),
            Put::Refused => Err(Status::failed_precondition("the match is closed or has other members")),
        }
    }

    /// Every call tells the inboxes, so that one whose news were lost can be repeated.
    pub(super) async fn close(&self, request: CloseMatchRequest) -> Result<CloseMatchResponse, Status> {
        let match_id = match_id(request.match_id)?;
        let closed = self.change(CloseMatch { match_id: match_id.clone() }).await?;
        info!(r#match = %match_id, "closed");
        Ok(CloseMatchResponse { closed_at_ms: closed.change.created_at_ms })
    }

    pub(super) async fn matches_of(&self, request: ListMatchesRequest) -> Result<ListMatchesResponse, Status> {
        let user = user_id(request.user_id)?;
        let after = request.after.map(match_id).transpose()?;
        let after = after.as_ref().map_or("", |id| id.as_str());
        let (matches, has_more) = self.store.list_matches(&user, after, limit(request.limit)).await?;
        Ok(ListMatchesResponse { matches, has_more })
    }

    pub(super) async fn heads_of(&self, request: HeadsRequest) -> Result<HeadsResponse, Status> {
        if request.match_ids.len() > MAX_HEADS {
            return Err(Status::invalid_argument(format!("at most {MAX_HEADS} matches")));
        }
        let ids = request.match_ids.into_iter().map(|id| match_id(id).map(String::from));
        let user = request.user_id.map(user_id).transpose()?;
        let asked = Asked { ids: ids.collect::<Result<_, _>>()?, with_members: request.with_members, user };
        self.heads.of(asked).await.map_err(|_| Status::unavailable("heads cannot be read now"))
    }
}

fn pair(members: Vec<String>) -> Result<[UserId; 2], Status> {
    let members = members.into_iter().map(user_id).collect::<Result<Vec<_>, _>>()?;
    let mut pair: [UserId; 2] =
        members.try_into().map_err(|_| Status::invalid_argument("a match has exactly two members"))?;
    pair.sort();
    match &pair {
        [a, b] if a == b => Err(Status::invalid_argument("a match has two different members")),
        _ => Ok(pair),
    }
}
