//! What the gateway reads of the services. A match is read on behalf of a user, and only members learn of it.

use proto::{
    MatchId, UserId,
    chat::{
        Action, Erasure, GetErasureRequest, GetMatchRequest, GetReceiptsRequest, GetReceiptsResponse, GetReportRequest,
        GetReportResponse, GetSharingRequest, GetSharingResponse, HeadsRequest, HeadsResponse, ListBlocksRequest,
        ListBlocksResponse, ListChangesRequest, ListChangesResponse, ListMatchesRequest, ListMatchesResponse,
        ListMessagesRequest, ListMessagesResponse, ListReportsRequest, ListReportsResponse, MatchHead,
        RevocationsRequest, RevocationsResponse, SyncRequest, list_messages_request::Position,
    },
    milestone::{GetProgressRequest, GetProgressResponse},
    signaling::{GetCallRequest, GetCallResponse, get_call_request::Of},
};

use super::{Services, Since, Snapshot, Synced, asking::ask};
use crate::failure::Failure;

impl Services {
    /// The match, with messages and changes (at most 200 of each) if they are asked for. `MATCH_NOT_FOUND` unless
    /// `user` is a member. A closed match is returned as well: its `closed_at_ms` is set.
    pub async fn get_match(
        &self,
        match_id: &MatchId,
        user: &UserId,
        Since { seq: since_seq, rev: since_rev, limit }: Since,
    ) -> Result<Snapshot, Failure> {
        let user_id = Some(user.to_string());
        let (match_id, action) = (match_id.to_string(), Action::Read.into());
        let request = GetMatchRequest { match_id, since_seq, limit, user_id, action, since_rev };
        let response = ask(async || self.chat.clone().get_match(request.clone()).await).await?;
        Snapshot::for_member(response, user)
    }

    /// The matches of a user whose id comes after `after`, by match id, at most `limit` (≤ 200).
    pub async fn list_matches(
        &self,
        user: &UserId,
        after: Option<&MatchId>,
        limit: i32,
    ) -> Result<ListMatchesResponse, Failure> {
        let request = ListMatchesRequest { user_id: user.to_string(), after: after.map(ToString::to_string), limit };
        ask(async || self.chat.clone().list_matches(request.clone()).await).await
    }

    /// What has changed in a user's matches, and the user's live call, whose match is told of in any case. Without
    /// signaling-service calls are left out.
    pub async fn sync(&self, user: &UserId, mut request: SyncRequest) -> Result<Synced, Failure> {
        let call = self.get_call(Of::UserId(user.to_string())).await.ok().and_then(|found| found.call);
        request.user_id = user.to_string();
        request.with_match_id = call.as_ref().map(|call| call.match_id.clone());
        let response = ask(async || self.chat.clone().sync(request.clone()).await).await?;
        Ok(Synced { response, call })
    }

    /// The users whom a user has blocked and whose id comes after `after`, by user id, at most `limit` (≤ 200).
    pub async fn list_blocks(
        &self,
        user: &UserId,
        after: Option<&UserId>,
        limit: i32,
    ) -> Result<ListBlocksResponse, Failure> {
        let request = ListBlocksRequest { user_id: user.to_string(), after: after.map(ToString::to_string), limit };
        ask(async || self.chat.clone().list_blocks(request.clone()).await).await
    }

    /// The reports with higher numbers than `after`, at most `limit` (≤ 200).
    pub async fn list_reports(&self, after: Option<i64>, limit: i32) -> Result<ListReportsResponse, Failure> {
        let request = ListReportsRequest { after, limit };
        ask(async || self.chat.clone().list_reports(request).await).await
    }

    /// A report with its evidence. `MATCH_NOT_FOUND` when it does not exist.
    pub async fn get_report(&self, report_id: i64) -> Result<GetReportResponse, Failure> {
        ask(async || self.chat.clone().get_report(GetReportRequest { report_id }).await).await
    }

    /// How far the erasure of a user is. `MATCH_NOT_FOUND` when nobody has asked for it.
    pub async fn erasure(&self, user: &UserId) -> Result<Erasure, Failure> {
        let request = GetErasureRequest { user_id: user.to_string() };
        ask(async || self.chat.clone().get_erasure(request.clone()).await).await
    }

    /// A page of a match's messages, ascending, with or without what lies between them; without a position the latest.
    /// `MATCH_NOT_FOUND` unless `user` is a member.
    pub async fn list_messages(
        &self,
        (match_id, user): (&MatchId, &UserId),
        position: Option<Position>,
        (limit, with_notes): (i32, bool),
    ) -> Result<ListMessagesResponse, Failure> {
        let (match_id, user_id) = (match_id.to_string(), Some(user.to_string()));
        let request = ListMessagesRequest { match_id, position, limit, user_id, with_notes };
        ask(async || self.chat.clone().list_messages(request.clone()).await).await
    }

    /// A page of a match's changes, ascending, of those after a rev. `MATCH_NOT_FOUND` unless `user` is a member.
    pub async fn list_changes(
        &self,
        (match_id, user): (&MatchId, &UserId),
        after_rev: i64,
        limit: i32,
    ) -> Result<ListChangesResponse, Failure> {
        let (match_id, user_id) = (match_id.to_string(), Some(user.to_string()));
        let request = ListChangesRequest { match_id, after_rev, limit, user_id };
        ask(async || self.chat.clone().list_changes(request.clone()).await).await
    }

    /// How far the members of these matches have come, as the user may see it.
    pub async fn receipts(&self, user: &UserId, match_ids: Vec<String>) -> Result<GetReceiptsResponse, Failure> {
        let request = GetReceiptsRequest { user_id: user.to_string(), match_ids };
        ask(async || self.chat.clone().get_receipts(request.clone()).await).await
    }

    /// What a user shows and sees in up to 100 matches of the user's own; others are left out.
    pub async fn sharing(&self, user: &UserId, match_ids: Vec<String>) -> Result<GetSharingResponse, Failure> {
        let request = GetSharingRequest { user_id: user.to_string(), match_ids };
        ask(async || self.chat.clone().get_sharing(request.clone()).await).await
    }

    /// The heads of up to 1,000 matches, as PostgreSQL has them; unknown ones are left out.
    pub async fn heads(&self, match_ids: Vec<String>) -> Result<Vec<MatchHead>, Failure> {
        Ok(self.read_heads(HeadsRequest { match_ids, ..HeadsRequest::default() }).await?.heads)
    }

    /// As [`heads`](Self::heads), with the members of each match, and the database's epoch. Matches of others than
    /// `user` are left out.
    pub async fn heads_of_user(&self, match_ids: Vec<String>, user: &UserId) -> Result<HeadsResponse, Failure> {
        self.read_heads(HeadsRequest { match_ids, with_members: true, user_id: Some(user.to_string()) }).await
    }

    async fn read_heads(&self, request: HeadsRequest) -> Result<HeadsResponse, Failure> {
        ask(async || self.chat.clone().heads(request.clone()).await).await
    }

    /// The live call of a match or a user, or by its own id, and of a device what it may have missed. Whether the asker
    /// is a party is the caller's to check.
    pub async fn get_call(&self, of: Of) -> Result<GetCallResponse, Failure> {
        let request = GetCallRequest { of: Some(of) };
        ask(async || self.signaling.clone().get_call(request.clone()).await).await
    }

    /// How far the match is on the way to each configured milestone. Membership is the caller's to check.
    pub async fn progress(&self, match_id: &MatchId) -> Result<GetProgressResponse, Failure> {
        let request = GetProgressRequest { match_id: match_id.to_string() };
        ask(async || self.milestones.clone().get_progress(request.clone()).await).await
    }

    /// A page of the revocations.
    pub async fn revocations(&self, request: &RevocationsRequest) -> Result<RevocationsResponse, Failure> {
        ask(async || self.chat.clone().revocations(request.clone()).await).await
    }
}
