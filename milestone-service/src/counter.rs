//! One step of counting: raises registers, and has chat-service record the milestones that became due.

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use proto::{
    MatchId,
    chat::{Head, HeadsRequest, MatchHead, RecordMilestoneRequest, chat_service_client::ChatServiceClient},
};
use quick_cache::sync::Cache;
use service_kit::{grpc, redis::RedisError};
use thiserror::Error;
use tonic::Code;

use crate::{
    metrics::Metrics,
    milestone::{Milestone, Milestones, Scope},
    store::{IfMissing, Register, Registers},
};

/// Calls of chat-service in flight for one batch.
const CONCURRENT_RECORDS: usize = 8;
/// What `Heads` answers at most.
const MAX_HEADS: usize = 1_000;
/// Matches whose records are remembered while Redis cannot: about 10 MB of ids.
const REMEMBERED_MATCHES: usize = 100_000;

/// Counts heads of matches. Repeats and any order are harmless: a register only grows, a record is made once.
#[derive(Debug)]
pub struct Counter {
    milestones: Milestones,
    registers: Registers,
    /// The highest threshold of each match that was recorded without a register.
    recorded: Cache<MatchId, i64>,
    chat: ChatServiceClient<grpc::Client>,
    metrics: Metrics,
}

/// Why heads could not be counted. Counting them again is safe.
#[derive(Debug, Error)]
pub enum CountError {
    /// Redis gave no answer.
    #[error(transparent)]
    Store(#[from] RedisError),
    /// chat-service gave no answer.
    #[error("chat-service: {0}")]
    Chat(#[from] tonic::Status),
}

impl Counter {
    /// Counts toward `milestones` in `registers`; `chat` has the truth.
    pub fn new(
        milestones: Milestones,
        registers: Registers,
        chat: ChatServiceClient<grpc::Client>,
        metrics: Metrics,
    ) -> Self {
        Self { milestones, registers, recorded: Cache::new(REMEMBERED_MATCHES), chat, metrics }
    }

    /// What it counts toward.
    pub fn milestones(&self) -> &Milestones {
        &self.milestones
    }

    /// Takes the heads in. When it returns, every milestone that they reach is recorded.
    ///
    /// Registers only save repeated records. A head that was heard of is committed, so it proves without Redis what it
    /// reaches.
    pub async fn count(&self, heads: &[Head]) -> Result<(), CountError> {
        self.metrics.heads(heads.len());
        let heads = heads.iter().filter_map(|head| Some((MatchId::new(head.match_id.as_str()).ok()?, head.last_seq)));
        let heads: Vec<_> = heads.collect();
        if self.registers.are_available() {
            match self.count_in_registers(heads.clone()).await {
                Err(CountError::Store(error)) => tracing::warn!(%error, "counting without registers"),
                counted => return counted,
            }
        }
        self.record_without_registers(&heads).await
    }

    async fn count_in_registers(&self, heads: Vec<(MatchId, i64)>) -> Result<(), CountError> {
        let (known, missing) = self.raise(heads).await?;
        let rebuilt = self.rebuild(missing).await?;
        // Collected, because the compiler cannot see that a lazy iterator of borrows may cross threads.
        let due: Vec<_> = known.iter().chain(&rebuilt).map(|(id, register)| self.record_due(id, register)).collect();
        stream::iter(due).buffer_unordered(CONCURRENT_RECORDS).try_collect().await
    }

    async fn record_without_registers(&self, heads: &[(MatchId, i64)]) -> Result<(), CountError> {
        let reached: Vec<_> = heads.iter().map(|(id, seq)| self.record_unless_remembered(id, *seq)).collect();
        stream::iter(reached).buffer_unordered(CONCURRENT_RECORDS).try_collect().await
    }

    async fn record_unless_remembered(&self, id: &MatchId, count: i64) -> Result<(), CountError> {
        let recorded = self.recorded.get(id).unwrap_or(0);
        let mut highest = recorded;
        for milestone in self.milestones.reached(count).iter().filter(|milestone| milestone.threshold > recorded) {
            if self.record(id, milestone).await? {
                highest = milestone.threshold;
            }
        }
        // Only when all are recorded: several may have the same threshold.
        if highest > recorded {
            self.recorded.insert(id.clone(), highest);
        }
        Ok(())
    }

    /// The committed heads of matches; unknown matches are left out.
    pub async fn committed(&self, ids: &[MatchId]) -> Result<Vec<MatchHead>, tonic::Status> {
        let mut heads = Vec::with_capacity(ids.len());
        for page in ids.chunks(MAX_HEADS) {
            let match_ids = page.iter().map(ToString::to_string).collect();
            heads.extend(
                self.chat
                    .clone()
                    .heads(HeadsRequest { match_ids, ..HeadsRequest::default() })
                    .await?
                    .into_inner()
                    .heads,
            );
        }
        Ok(heads)
    }

    /// Counts every match that has a register from its committed head: heals what a wiped stream has lost.
    pub async fn recount(&self) -> Result<(), CountError> {
        let mut cursor = 0;
        loop {
            let (next, ids) = self.registers.scan(cursor).await?;
            let committed = self.committed(&ids).await?.into_iter();
            let heads: Vec<_> =
                committed.map(|head| Head { match_id: head.match_id, last_seq: head.last_seq }).collect();
            self.count(&heads).await?;
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Has every milestone recorded that a committed head reaches, whatever Redis says of it.
    pub async fn record_reached(&self, head: &MatchHead) -> Result<(), tonic::Status> {
        let Ok(id) = MatchId::new(head.match_id.as_str()) else {
            return Ok(());
        };
        for milestone in self.milestones.of(head.is_group).filter(|of| of.threshold <= head.last_seq) {
            self.record(&id, milestone).await?;
        }
        Ok(())
    }

    async fn raise(&self, heads: Vec<(MatchId, i64)>) -> Result<(Vec<(MatchId, Register)>, Vec<MatchId>), CountError> {
        let raised = heads.into_iter().map(async |(id, seq)| {
            let register = self.registers.raise(&id, seq, IfMissing::Leave).await?;
            Ok::<_, RedisError>((id, register))
        });
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for (id, register) in try_join_all(raised).await? {
            match register {
                Some(register) => known.push((id, register)),
                None => missing.push(id),
            }
        }
        Ok((known, missing))
    }

    /// Registers that Redis does not have start from the committed head.
    async fn rebuild(&self, missing: Vec<MatchId>) -> Result<Vec<(MatchId, Register)>, CountError> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let heads = self.committed(&missing).await?;
        self.metrics.registers_rebuilt(heads.len());
        let registers = heads.into_iter().map(async |head| {
            let Ok(id) = MatchId::new(head.match_id) else {
                return Ok(None);
            };
            let register = self.registers.raise(&id, head.last_seq, IfMissing::Create).await?;
            Ok::<_, RedisError>(register.map(|register| (id, register)))
        });
        Ok(try_join_all(registers).await?.into_iter().flatten().collect())
    }

    /// One after the other, by threshold: in this order chat-service numbers them.
    async fn record_due(&self, id: &MatchId, register: &Register) -> Result<(), CountError> {
        for milestone in self.milestones.due(register.count, &register.recorded) {
            self.record(id, milestone).await?;
        }
        Ok(())
    }

    /// Has a milestone recorded, at once or by somebody before. `false` when chat-service knows nothing that reaches
    /// it. One that matches of the other kind reach counts as recorded: it is not asked for again.
    async fn record(&self, id: &MatchId, milestone: &Milestone) -> Result<bool, tonic::Status> {
        let request = RecordMilestoneRequest {
            match_id: id.to_string(),
            milestone_id: milestone.id.clone(),
            threshold: milestone.threshold,
            unlocks: milestone.unlocks.clone(),
            of_groups: milestone.scope == Scope::Group,
        };
        match self.chat.clone().record_milestone(request).await {
            Ok(response) => {
                if response.get_ref().recorded {
                    tracing::info!(match_id = %id, milestone = milestone.id, "milestone reached");
                    self.metrics.milestone_recorded(&milestone.id);
                }
                self.correct(self.registers.mark_recorded(id, &milestone.id)).await;
                Ok(true)
            }
            Err(status) if status.code() == Code::NotFound => {
                tracing::warn!(match_id = %id, milestone = milestone.id, "no such match");
                Ok(false)
            }
            // The register is of another life of the database: it starts again from the committed head.
            Err(status) if status.code() == Code::FailedPrecondition => {
                tracing::warn!(match_id = %id, milestone = milestone.id, "Redis counts more messages than there are");
                self.correct(self.registers.forget(id)).await;
                Ok(false)
            }
            Err(status) => Err(status),
        }
    }

    /// Brings a register up to date, if Redis is there: one that is not leads to a record that was made before, and is
    /// corrected then.
    async fn correct(&self, register: impl Future<Output = Result<(), RedisError>>) {
        if self.registers.are_available()
            && let Err(error) = register.await
        {
            tracing::debug!(%error, "a register stays as it is");
        }
    }
}
