//! gRPC: how far a match is.

use std::sync::Arc;

use proto::{
    MatchId,
    chat::MatchHead,
    milestone::{
        GetProgressRequest, GetProgressResponse, Progress,
        milestone_service_server::{MilestoneService, MilestoneServiceServer},
    },
};
use tonic::{Request, Response, Status};

use crate::{counter::Counter, milestone::Milestones};

/// Answers from the committed head, so that it never lags behind what a client has seen.
#[derive(Debug, Clone)]
pub struct ProgressRpc {
    counter: Arc<Counter>,
}

impl ProgressRpc {
    /// The service, to be served.
    pub fn server(counter: Arc<Counter>) -> MilestoneServiceServer<Self> {
        MilestoneServiceServer::new(Self { counter })
    }

    /// Records now what the stream did not tell, as when it was wiped: whoever asks needs it.
    async fn repair(&self, head: &MatchHead) {
        let reached = self.counter.milestones().of(head.is_group).filter(|of| of.threshold <= head.last_seq).count();
        if usize::try_from(head.milestones).unwrap_or(0) >= reached {
            return;
        }
        if let Err(error) = self.counter.record_reached(head).await {
            tracing::warn!(match_id = head.match_id, %error, "a reached milestone could not be recorded");
        }
    }
}

#[tonic::async_trait]
impl MilestoneService for ProgressRpc {
    async fn get_progress(
        &self,
        request: Request<GetProgressRequest>,
    ) -> Result<Response<GetProgressResponse>, Status> {
        let id = MatchId::new(request.into_inner().match_id);
        let id = id.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let heads = self.counter.committed(std::slice::from_ref(&id)).await;
        let heads = heads.map_err(|status| Status::unavailable(format!("chat-service: {}", status.message())))?;
        let head = heads.into_iter().next().ok_or_else(|| Status::not_found("no such match"))?;
        self.repair(&head).await;
        Ok(Response::new(progress(self.counter.milestones(), &head)))
    }
}

fn progress(milestones: &Milestones, head: &MatchHead) -> GetProgressResponse {
    let message_count = head.last_seq;
    let milestones = milestones.of(head.is_group).map(|milestone| Progress {
        milestone_id: milestone.id.clone(),
        threshold: milestone.threshold,
        unlocks: milestone.unlocks.clone(),
        remaining: milestone.remaining(message_count),
    });
    GetProgressResponse { message_count, milestones: milestones.collect() }
}
