//! Calls about milestones.

use proto::{
    ClientId,
    chat::{RecordMilestoneRequest, RecordMilestoneResponse, change::Kind},
};
use tonic::Status;

use super::{Rpc, status::match_id};
use crate::{
    command::RecordMilestone,
    outcome::{Changed, Refusal},
};

/// What one milestone may unlock.
const MAX_UNLOCKS: usize = 64;

impl Rpc {
    /// The members are told once it is recorded. A repeat tells nobody.
    pub(super) async fn record(&self, request: RecordMilestoneRequest) -> Result<RecordMilestoneResponse, Status> {
        let command = reached(request)?;
        let audience = self.audiences.all(&command.match_id).await?.ok_or(Refusal::NoMatch)?;
        let Changed { change, is_new } = match self.commit(command, audience).await? {
            Err(Refusal::OtherKind) => {
                return Ok(RecordMilestoneResponse { other_kind: true, ..RecordMilestoneResponse::default() });
            }
            changed => changed?,
        };
        let milestone = match change.kind {
            Some(Kind::Milestone(milestone)) => Some(milestone),
            _ => None,
        };
        Ok(RecordMilestoneResponse { recorded: is_new, milestone, other_kind: false })
    }
}

fn reached(request: RecordMilestoneRequest) -> Result<RecordMilestone, Status> {
    let is_name = |text: &String| ClientId::new(text.as_str()).is_ok();
    let match_id = match_id(request.match_id)?;
    if !is_name(&request.milestone_id) || request.unlocks.len() > MAX_UNLOCKS || !request.unlocks.iter().all(is_name) {
        return Err(Status::invalid_argument("names of milestones and of what they unlock are 1 to 64 characters"));
    }
    if request.threshold < 1 {
        return Err(Status::invalid_argument("a threshold is at least 1"));
    }
    let RecordMilestoneRequest { milestone_id, threshold, unlocks, of_groups, .. } = request;
    Ok(RecordMilestone { match_id, milestone_id, threshold, unlocks, of_groups })
}
