//! `ChatService` as gRPC serves it: what a call asks is checked here. What it reads is the store's; what it writes to a
//! match is a command for the lanes of this replica, whoever owns the match.

mod blocks;
mod erasures;
mod groups;
mod matches;
mod messages;
mod milestones;
mod receipts;
mod reports;
mod revocations;
mod sharing;
mod status;
mod sync;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::chat::{
    ChangeMembersRequest, ChangeMembersResponse, ChangeMessageRequest, ChangeMessageResponse, CloseMatchRequest,
    CloseMatchResponse, DeleteBlockRequest, DeleteBlockResponse, EraseUserRequest, Erasure, GetErasureRequest,
    GetMatchRequest, GetMatchResponse, GetReceiptsRequest, GetReceiptsResponse, GetReportRequest, GetReportResponse,
    GetSettingsRequest, GetSharingRequest, GetSharingResponse, HeadsRequest, HeadsResponse, HideMessageRequest,
    HideMessageResponse, LeaveGroupRequest, LeaveGroupResponse, ListBlocksRequest, ListBlocksResponse,
    ListChangesRequest, ListChangesResponse, ListMatchesRequest, ListMatchesResponse, ListMessagesRequest,
    ListMessagesResponse, ListReportsRequest, ListReportsResponse, MarkRequest, MarkResponse, NoteSeenRequest,
    NoteSeenResponse, PatchMembersRequest, PatchMembersResponse, PutBlockRequest, PutBlockResponse, PutMatchRequest,
    PutMatchResponse, PutSettingsRequest, RecordMilestoneRequest, RecordMilestoneResponse, ReportRequest,
    ReportResponse, ReportSummary, ResolveReportRequest, RevocationsRequest, RevocationsResponse, RevokeRequest,
    RevokeResponse, Settings, SyncRequest, SyncResponse, chat_service_server::ChatService,
};
use service_kit::grpc;
use tokio::time::timeout;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    audience::Audience,
    audiences::Audiences,
    command::{Command, Windows},
    heads::Heads,
    inbox::Inbox,
    lane::Entrance,
    limits::SendLimits,
    marks::Marks,
    outcome::{Changed, Refusal},
    shared::Shared,
    store::Store,
};

/// No call takes longer, whatever its caller's deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// What waits for a lock for longer is not written: the caller has gone by then.
const CALLER_PATIENCE: Duration = grpc::CALL_TIMEOUT;
/// The longest page.
const MAX_LIMIT: i32 = 200;

/// What the configuration says of what may be written to matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// For how long senders may change their messages.
    pub(crate) windows: Windows,
    /// Most members of a group.
    pub(crate) max_group: usize,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Rpc {
    store: Store,
    heads: Heads,
    audiences: Audiences,
    inbox: Inbox,
    lanes: Entrance,
    rules: Rules,
    limits: Arc<SendLimits>,
    /// Without them receipts are turned off.
    marks: Option<Marks>,
}

impl Rpc {
    pub(crate) fn new(
        shared: &Shared,
        (heads, lanes): (Heads, Entrance),
        marks: Option<Marks>,
        (rules, limits): (Rules, Arc<SendLimits>),
    ) -> Self {
        let (store, audiences) = (shared.store.clone(), shared.audiences.clone());
        Self { store, heads, audiences, inbox: Inbox::new(shared), lanes, rules, limits, marks }
    }

    /// Has a command committed, and its match's members told.
    async fn change(&self, command: impl Command + 'static) -> Result<Changed, Status> {
        let audience = self.audiences.all(command.match_id()).await?.ok_or(Refusal::NoMatch)?;
        Ok(self.commit(command, audience).await??)
    }

    /// The same for those who are known to be its members, unless they have changed.
    async fn commit(
        &self,
        command: impl Command + 'static,
        audience: Audience,
    ) -> Result<Result<Changed, Refusal>, Status> {
        let outcome = self.lanes.commit(command, audience, Instant::now() + CALLER_PATIENCE).await;
        Ok(outcome.map_err(|_| Refusal::Unavailable)?.into_change())
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ChatService for Rpc {
    async fn get_match(&self, request: Request<GetMatchRequest>) -> Answer<GetMatchResponse> {
        bounded(Box::pin(self.get(request.into_inner()))).await
    }

    async fn put_match(&self, request: Request<PutMatchRequest>) -> Answer<PutMatchResponse> {
        bounded(self.put(request.into_inner())).await
    }

    async fn close_match(&self, request: Request<CloseMatchRequest>) -> Answer<CloseMatchResponse> {
        bounded(self.close(request.into_inner())).await
    }

    async fn change_members(&self, request: Request<ChangeMembersRequest>) -> Answer<ChangeMembersResponse> {
        bounded(self.change_members_of(request.into_inner())).await
    }

    async fn patch_members(&self, request: Request<PatchMembersRequest>) -> Answer<PatchMembersResponse> {
        bounded(self.patch_members_of(request.into_inner())).await
    }

    async fn leave_group(&self, request: Request<LeaveGroupRequest>) -> Answer<LeaveGroupResponse> {
        bounded(self.leave_group_of(request.into_inner())).await
    }

    async fn change_message(&self, request: Request<ChangeMessageRequest>) -> Answer<ChangeMessageResponse> {
        bounded(self.change_message_of(request.into_inner())).await
    }

    async fn hide_message(&self, request: Request<HideMessageRequest>) -> Answer<HideMessageResponse> {
        bounded(self.hide(request.into_inner())).await
    }

    async fn mark(&self, request: Request<MarkRequest>) -> Answer<MarkResponse> {
        bounded(self.mark_all(request.into_inner())).await
    }

    async fn get_receipts(&self, request: Request<GetReceiptsRequest>) -> Answer<GetReceiptsResponse> {
        bounded(self.receipts_of(request.into_inner())).await
    }

    async fn get_sharing(&self, request: Request<GetSharingRequest>) -> Answer<GetSharingResponse> {
        bounded(self.sharing_of(request.into_inner())).await
    }

    async fn note_seen(&self, request: Request<NoteSeenRequest>) -> Answer<NoteSeenResponse> {
        bounded(self.seen(request.into_inner())).await
    }

    async fn get_settings(&self, request: Request<GetSettingsRequest>) -> Answer<Settings> {
        bounded(self.settings_of(request.into_inner())).await
    }

    async fn put_settings(&self, request: Request<PutSettingsRequest>) -> Answer<Settings> {
        bounded(self.set(request.into_inner())).await
    }

    async fn put_block(&self, request: Request<PutBlockRequest>) -> Answer<PutBlockResponse> {
        bounded(self.block(request.into_inner())).await
    }

    async fn delete_block(&self, request: Request<DeleteBlockRequest>) -> Answer<DeleteBlockResponse> {
        bounded(self.unblock(request.into_inner())).await
    }

    async fn list_blocks(&self, request: Request<ListBlocksRequest>) -> Answer<ListBlocksResponse> {
        bounded(self.blocks_of(request.into_inner())).await
    }

    async fn report(&self, request: Request<ReportRequest>) -> Answer<ReportResponse> {
        bounded(self.report_of(request.into_inner())).await
    }

    async fn list_reports(&self, request: Request<ListReportsRequest>) -> Answer<ListReportsResponse> {
        bounded(self.reports(request.into_inner())).await
    }

    async fn get_report(&self, request: Request<GetReportRequest>) -> Answer<GetReportResponse> {
        bounded(self.report_with_evidence(request.into_inner())).await
    }

    async fn resolve_report(&self, request: Request<ResolveReportRequest>) -> Answer<ReportSummary> {
        bounded(self.resolve(request.into_inner())).await
    }

    async fn sync(&self, request: Request<SyncRequest>) -> Answer<SyncResponse> {
        bounded(self.sync_of(request.into_inner())).await
    }

    async fn list_matches(&self, request: Request<ListMatchesRequest>) -> Answer<ListMatchesResponse> {
        bounded(self.matches_of(request.into_inner())).await
    }

    async fn list_messages(&self, request: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        bounded(self.messages_of(request.into_inner())).await
    }

    async fn list_changes(&self, request: Request<ListChangesRequest>) -> Answer<ListChangesResponse> {
        bounded(self.changes_of(request.into_inner())).await
    }

    async fn heads(&self, request: Request<HeadsRequest>) -> Answer<HeadsResponse> {
        bounded(self.heads_of(request.into_inner())).await
    }

    async fn record_milestone(&self, request: Request<RecordMilestoneRequest>) -> Answer<RecordMilestoneResponse> {
        bounded(self.record(request.into_inner())).await
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Answer<RevokeResponse> {
        bounded(self.refuse_tokens(request.into_inner())).await
    }

    async fn revocations(&self, request: Request<RevocationsRequest>) -> Answer<RevocationsResponse> {
        bounded(self.revoked_since(request.into_inner())).await
    }

    async fn erase_user(&self, request: Request<EraseUserRequest>) -> Answer<Erasure> {
        bounded(self.erase(request.into_inner())).await
    }

    async fn get_erasure(&self, request: Request<GetErasureRequest>) -> Answer<Erasure> {
        bounded(self.erasure_of(request.into_inner())).await
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, Status>>) -> Answer<T> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map(Response::new),
        Err(_) => Err(Status::unavailable("PostgreSQL is too slow")),
    }
}

/// A page's length: 1 to 200.
fn limit(asked: i32) -> usize {
    usize::try_from(asked.clamp(1, MAX_LIMIT)).unwrap_or(1)
}
