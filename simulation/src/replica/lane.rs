//! A lane: one batch is committed at a time, the fast way or under locks; after `chat-service/src/lane.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chat_service::{
    batch::{self, Decision, Request},
    room::Room,
};
use proto::{
    MatchId,
    chat::{Code, SendResult},
};

use super::{Run, Shell, unavailable};
use crate::{
    channel::{Answer, Queue},
    mistake::Mistake,
    store::{Connection, TripError},
};

/// A request with whoever waits for its answer.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) members: [usize; 2],
    pub(super) deadline: Duration,
    pub(super) answer: Answer<Vec<SendResult>>,
}

/// Requests that are committed together.
#[derive(Default)]
struct Part {
    jobs: Vec<Job>,
    locked: bool,
    recovering: bool,
}

struct Lane {
    shell: Shell,
    connection: Option<Connection>,
}

/// Commits what comes, for ever.
pub(super) async fn run(shell: Shell, jobs: Queue<Job>) {
    let mut lane = Lane { shell, connection: None };
    loop {
        let mut first = Part { jobs: vec![jobs.pop().await], ..Part::default() };
        while let Some(job) = jobs.try_pop() {
            first.jobs.push(job);
        }
        let mut parts = VecDeque::from([first]);
        while let Some(part) = parts.pop_front() {
            parts.extend(lane.commit(part).await);
        }
    }
}

impl Lane {
    /// Commits a part and answers its jobs. Returns what must be tried match by match.
    async fn commit(&mut self, mut part: Part) -> Vec<Part> {
        loop {
            let now = self.shell.world.sim.now();
            part.jobs.retain(|job| now < job.deadline);
            let Some(deadline) = part.jobs.iter().map(|job| job.deadline).min() else { return Vec::new() };
            let outcome = self.attempt(&part, deadline).await;
            match outcome {
                Ok(Some(decision)) => {
                    self.finish(part, decision);
                    return Vec::new();
                }
                // Its time was over before the COMMIT.
                Ok(None) => {}
                Err(TripError::Lost) => {
                    self.connection = None;
                    self.shell.posted.missed(self.shell.world.sim.now_ms());
                    (part.locked, part.recovering) = (true, true);
                }
                Err(TripError::Stalled | TripError::Duplicate) if part.matches().len() > 1 => return part.split(),
                Err(error) => {
                    let result = match error {
                        TripError::Stalled => unavailable(),
                        _ => chat_service::room::failure(Code::Internal),
                    };
                    part.answer(&result);
                    return Vec::new();
                }
            }
        }
    }

    /// `None` when the deadline passed before the COMMIT.
    async fn attempt(&mut self, part: &Part, deadline: Duration) -> Result<Option<Decision>, TripError> {
        if self.connection.is_none() {
            self.connection = Connection::open(&self.shell.world.store).await;
        }
        let Some(mut connection) = self.connection.take() else {
            self.shell.world.sim.sleep(Duration::from_millis(100)).await;
            return Ok(None);
        };
        let outcome = self.transact(&mut connection, part, deadline).await;
        self.connection = Some(connection);
        outcome
    }

    async fn transact(
        &self,
        connection: &mut Connection,
        part: &Part,
        deadline: Duration,
    ) -> Result<Option<Decision>, TripError> {
        let requests: &[&Request] = &part.jobs.iter().map(|job| &job.request).collect::<Vec<_>>();
        if !part.locked
            && let Some(advances) = batch::advances(requests)
        {
            let heads = connection.advance(&advances).await?;
            if heads.len() == advances.len() {
                let rooms = heads.into_iter().map(|(id, head)| (id.clone(), Room::new(id, head))).collect();
                match self.insert(connection, (part, deadline), batch::decide(requests, rooms)).await {
                    Err(TripError::Duplicate) => {}
                    outcome => return outcome,
                }
            } else {
                connection.roll_back().await;
            }
        }
        let ids: Vec<MatchId> = batch::matches(requests.iter().copied()).into_iter().cloned().collect();
        let found = connection.lock(&ids, &batch::keys(requests)).await?;
        let mut rooms: BTreeMap<MatchId, Room> =
            found.heads.into_iter().map(|(id, head)| (id.clone(), Room::new(id, head))).collect();
        let knows = self.shell.world.mistake != Some(Mistake::NoDedupe);
        for row in found.rows.into_iter().filter(|_| knows) {
            if let Some(room) = rooms.get_mut(row.message.match_id.as_str()) {
                room.remember(row);
            }
        }
        self.insert(connection, (part, deadline), batch::decide(requests, rooms)).await
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        (part, deadline): (&Part, Duration),
        decision: Decision,
    ) -> Result<Option<Decision>, TripError> {
        if self.shell.world.sim.now() >= deadline {
            connection.roll_back().await;
            return Ok(None);
        }
        if self.shell.world.mistake == Some(Mistake::AckBeforeCommit) {
            let answers = part.jobs.iter().zip(&decision.results);
            answers.for_each(|(job, results)| job.answer.give_early(results.clone()));
        }
        connection.insert(decision.rows.clone()).await?;
        Ok(Some(decision))
    }

    /// The acks first; then everybody else hears of it.
    fn finish(&self, part: Part, decision: Decision) {
        let (mut members, recovering) = (BTreeMap::new(), part.recovering);
        for (job, results) in part.jobs.into_iter().zip(decision.results) {
            job.answer.give(results);
            members.insert(job.request.match_id, job.members);
        }
        let posted = &self.shell.posted;
        for message in &decision.repeated {
            if let Some((id, _)) = members.get_key_value(message.match_id.as_str()) {
                posted.moved(id, message.seq);
            }
        }
        let stored = decision.rows.into_iter().map(|row| row.message);
        let unheard = if recovering { decision.repeated } else { Vec::new() };
        let mut runs = Vec::new();
        for messages in batch::runs(stored.chain(unheard).collect()) {
            let Some(last) = messages.last() else { continue };
            let Some((id, members)) = members.get_key_value(last.match_id.as_str()) else { continue };
            posted.moved(id, last.seq);
            runs.push(Run { members: *members, messages });
        }
        if !runs.is_empty() {
            self.shell.told.push(runs);
        }
    }
}

impl Part {
    fn matches(&self) -> Vec<&MatchId> {
        batch::matches(self.jobs.iter().map(|job| &job.request)).into_iter().collect()
    }

    fn split(self) -> Vec<Self> {
        let mut parts: BTreeMap<MatchId, Self> = BTreeMap::new();
        for job in self.jobs {
            let part = parts.entry(job.request.match_id.clone()).or_default();
            (part.locked, part.recovering) = (true, self.recovering);
            part.jobs.push(job);
        }
        parts.into_values().collect()
    }

    fn answer(self, result: &SendResult) {
        for job in self.jobs {
            let results = vec![result.clone(); job.request.drafts.len()];
            job.answer.give(results);
        }
    }
}
