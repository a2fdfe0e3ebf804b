//! Some of a batch, on its way through its attempts.

use proto::{MatchId, chat::SendResult};
use tokio::time::Instant;
use tracing::{Span, info_span};

use super::queue::Job;
use crate::batch::{self, Request};

/// Requests that are committed together.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) jobs: Vec<Job>,
    /// Some rows may be stored already: the fast way would fail.
    pub(super) locked: bool,
    /// An earlier attempt may have committed without telling anybody.
    pub(super) recovering: bool,
}

impl Part {
    /// A whole batch before its first attempt.
    pub(super) fn first(jobs: Vec<Job>) -> Self {
        Self { jobs, ..Self::default() }
    }

    /// Drops the jobs for which nobody waits any more; returns the earliest deadline of the others, if there are any.
    pub(super) fn drop_expired(&mut self) -> Option<Instant> {
        self.jobs.retain(|job| !job.is_expired());
        self.jobs.iter().map(|job| job.deadline).min()
    }

    /// What is asked.
    pub(super) fn requests(&self) -> Vec<&Request> {
        self.jobs.iter().map(|job| &job.request).collect()
    }

    /// Whom it concerns.
    pub(super) fn ids(&self) -> Vec<&MatchId> {
        batch::matches(self.requests()).into_iter().collect()
    }

    /// One child of each request's span, for the time of an attempt.
    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.jobs.len();
        let messages: usize = self.jobs.iter().map(|job| job.request.drafts.len()).sum();
        let span =
            |job: &Job| info_span!(parent: &job.span, "commit", batch.messages = messages, batch.requests = requests);
        self.jobs.iter().map(span).collect()
    }

    /// Match by match, so that one that cannot be stored does not take the others along.
    pub(super) fn split(self) -> Vec<Self> {
        let recovering = self.recovering;
        let of_matches = batch::by_match(self.jobs, |job| &job.request).into_iter();
        of_matches.map(|jobs| Self { jobs, locked: true, recovering }).collect()
    }

    /// Request by request, in their order, so that one that cannot be stored does not take its match's others along.
    pub(super) fn split_requests(self) -> Vec<Self> {
        let recovering = self.recovering;
        self.jobs.into_iter().map(|job| Self { jobs: vec![job], locked: true, recovering }).collect()
    }

    /// Answers all drafts of all jobs alike.
    pub(super) fn answer(self, result: &SendResult) {
        for job in self.jobs {
            let results = vec![result.clone(); job.request.drafts.len()];
            job.answer(results);
        }
    }
}
