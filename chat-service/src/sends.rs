//! The sends of every match, from the request on NATS to its answer.

mod request;

use std::{sync::Arc, time::Duration};

use proto::chat::{Code, SendReply, SendRequest, SendResult};
use service_kit::clock;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    audience::Audience,
    audiences::Audiences,
    command::SendMessages,
    lane::{Entrance, OpenEntrance},
    lanes::Refused,
    limits::SendLimits,
    metrics::Metrics,
    outcome::Outcome,
    send_result::{failure, failure_for_now, unavailable},
};

use request::Parsed;

/// What the answer needs to reach the gateway before the deadline.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
/// No deadline may be further away: nothing should wait for longer than the gateway repeats.
const MAX_PATIENCE: Duration = Duration::from_secs(5);
/// When what was refused may be sent again: the backlog may be worked off by then.
const RETRY_BUSY_MS: i64 = 1_000;

/// Takes requests to the lanes. These end when it is dropped.
#[derive(Debug)]
pub(crate) struct Sends {
    audiences: Audiences,
    limits: Arc<SendLimits>,
    lanes: Entrance,
    metrics: Metrics,
    _open: OpenEntrance,
}

impl Sends {
    pub(crate) fn new(
        audiences: Audiences,
        limits: Arc<SendLimits>,
        (lanes, open): (Entrance, OpenEntrance),
        metrics: Metrics,
    ) -> Self {
        Self { audiences, limits, lanes, metrics, _open: open }
    }

    /// The answer to a request while too many are served.
    pub(crate) fn refuse(request: &SendRequest) -> SendReply {
        SendReply { results: vec![failure_for_now(Code::RateLimited, RETRY_BUSY_MS); request.drafts.len()] }
    }

    /// Answers a request within its deadline; `None` when that has passed.
    pub(crate) async fn handle(self: Arc<Self>, request: SendRequest) -> Option<SendReply> {
        let patience = clock::until(request.deadline_ms).min(MAX_PATIENCE);
        if patience <= ANSWER_MARGIN {
            return None;
        }
        let (count, deadline) = (request.drafts.len(), Instant::now() + patience);
        let results = match timeout_at(deadline - ANSWER_MARGIN, self.results(request, deadline)).await {
            Ok(results) => results,
            Err(_) => vec![unavailable(); count],
        };
        self.metrics.answered(&results);
        Some(SendReply { results })
    }

    async fn results(&self, request: SendRequest, deadline: Instant) -> Vec<SendResult> {
        let count = request.drafts.len();
        let Parsed { mut send, refused } = match request::parse(request) {
            Ok(parsed) => parsed,
            Err(code) => return vec![failure(code); count],
        };
        let mut results = match self.audience(&send).await {
            Ok(audience) => {
                let late = self.limits.cut(&mut send, std::time::Instant::now());
                let mut results = self.commit(send, audience, deadline).await;
                results.extend(late);
                results
            }
            Err(result) => vec![result; send.drafts.len()],
        };
        for (index, code) in refused {
            results.insert(index.min(results.len()), failure(code));
        }
        results
    }

    /// The members, if the sender is one of them. A stranger and a missing match are told the same.
    async fn audience(&self, send: &SendMessages) -> Result<Audience, SendResult> {
        match self.audiences.of(&send.match_id, &send.author.id).await {
            Ok(Some(audience)) => Ok(audience),
            Ok(None) => Err(failure(Code::MatchNotFound)),
            Err(error) => {
                warn!(%error, "cannot read the members of a match");
                Err(unavailable())
            }
        }
    }

    async fn commit(&self, send: SendMessages, audience: Audience, deadline: Instant) -> Vec<SendResult> {
        let count = send.drafts.len();
        if count == 0 {
            return Vec::new();
        }
        match self.lanes.commit(send, audience, deadline.into_std()).await.map(Outcome::into_results) {
            Ok(results) => results,
            Err(Refused::Full) => vec![failure_for_now(Code::RateLimited, RETRY_BUSY_MS); count],
            Err(Refused::Away) => vec![unavailable(); count],
        }
    }
}
