//! Calls about milestones.

use proto::{
    ClientId,
    chat::{RecordMilestoneRequest, RecordMilestoneResponse},
};
use tonic::Status;
use tracing::warn;

use super::{
    Rpc,
    status::{match_id, no_match},
};
use crate::store::{Reached, Recorded};

/// What one milestone may unlock.
const MAX_UNLOCKS: usize = 64;

impl Rpc {
    /// Records first and announces then. What cannot be announced now is announced by the poll.
    pub(super) async fn record(&self, request: RecordMilestoneRequest) -> Result<RecordMilestoneResponse, Status> {
        let reached = reached(request)?;
        match self.store.record_milestone(&reached).await? {
            Recorded::NoMatch => Err(no_match()),
            Recorded::NotReached => Err(Status::failed_precondition("the match has fewer messages")),
            Recorded::Stands { new, announced } => {
                // A repeat was announced by the call that recorded it, or is by the poll.
                if new && let Err(error) = self.announcer.announce(&announced).await {
                    warn!(r#match = %reached.match_id, %error, "a milestone is announced and not noted as such yet");
                }
                Ok(RecordMilestoneResponse { recorded: new, milestone: Some(announced.milestone) })
            }
        }
    }
}

fn reached(request: RecordMilestoneRequest) -> Result<Reached, Status> {
    let is_name = |text: &String| ClientId::new(text.as_str()).is_ok();
    let match_id = match_id(request.match_id)?;
    if !is_name(&request.milestone_id) || request.unlocks.len() > MAX_UNLOCKS || !request.unlocks.iter().all(is_name) {
        return Err(Status::invalid_argument("names of milestones and of what they unlock are 1 to 64 characters"));
    }
    if request.threshold < 1 {
        return Err(Status::invalid_argument("a threshold is at least 1"));
    }
    let RecordMilestoneRequest { milestone_id, threshold, unlocks, .. } = request;
    Ok(Reached { match_id, milestone_id, threshold, unlocks })
}
