//! `/matches/{id}/milestones`: how far a match has come.

use axum::{extract::State, response::Response};
use proto::milestone::Progress;
use serde::Serialize;

use super::{
    answers::{may_read, read},
    api::Api,
    caller::User,
    params::TheMatch,
};
use crate::{
    egress::Since,
    failure::Problem,
    views::{MilestoneView, to_json, unlocked},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProgressView<'a> {
    message_count: i64,
    milestones: Vec<MilestoneView<'a>>,
    unlocked: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next<'a>>,
}

/// The nearest milestone that is not reached yet.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Next<'a> {
    milestone_id: &'a str,
    milestone: i64,
    remaining: i64,
}

impl<'a> Next<'a> {
    fn of(progress: &'a [Progress]) -> Option<Self> {
        let open = progress.iter().filter(|progress| progress.remaining > 0);
        let nearest = open.min_by_key(|progress| progress.threshold)?;
        let Progress { milestone_id, threshold, remaining, .. } = nearest;
        Some(Self { milestone_id, milestone: *threshold, remaining: *remaining })
    }
}

/// `GET /matches/{id}/milestones`.
pub(super) async fn progress(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    let reached = api.services.get_match(&id, &user, Since::default()).await?.of.milestones;
    let progress = api.services.progress(&id).await?;
    let view = ProgressView {
        message_count: progress.message_count,
        milestones: MilestoneView::list(&reached),
        unlocked: unlocked(&reached),
        next: Next::of(&progress.milestones),
    };
    Ok(read(&api, &user, to_json(&view)))
}
