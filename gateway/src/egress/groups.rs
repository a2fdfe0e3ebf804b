//! What is changed of groups through the gateway.

use proto::{
    Code, MatchId, UserId,
    chat::{Group, LeaveGroupRequest, Match, Members, PatchMembersRequest, PutMatchRequest, patch_members_response},
};

use super::{Services, asking::ask};
use crate::failure::Failure;

impl Services {
    /// Creates a group, and says whether it is new. `IDEMPOTENCY_CONFLICT` when it is closed, or another one or none;
    /// `GROUP_FULL` when it would have more members than it may.
    pub async fn put_group(&self, match_id: &MatchId, group: Group) -> Result<(Match, bool), Failure> {
        let (match_id, group) = (match_id.to_string(), Some(group));
        let request = PutMatchRequest { match_id, group, ..PutMatchRequest::default() };
        let response = ask(async || self.chat.clone().put_match(request.clone()).await).await?;
        match response.failure {
            Some(failure) => Err(failure.into()),
            None => Ok((response.r#match.ok_or(Code::Internal)?, response.created)),
        }
    }

    /// Changes the members of a group and their roles, on behalf of a user if one is named.
    pub async fn patch_members(&self, request: PatchMembersRequest) -> Result<Members, Failure> {
        let response = ask(async || self.chat.clone().patch_members(request.clone()).await).await?;
        match response.result.ok_or(Code::Internal)? {
            patch_members_response::Result::Members(members) => Ok(members),
            patch_members_response::Result::Failure(failure) => Err(failure.into()),
        }
    }

    /// Ends the user's membership in a group.
    pub async fn leave_group(&self, match_id: &MatchId, user: &UserId) -> Result<(), Failure> {
        let request = LeaveGroupRequest { match_id: match_id.to_string(), user_id: user.to_string() };
        let response = ask(async || self.chat.clone().leave_group(request.clone()).await).await?;
        response.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}
