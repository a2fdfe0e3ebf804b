//! A lane: one batch is committed at a time, the fast way or under locks; after `chat-service/src/lane.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use chat_service::{
    batch::{self, Decision, Request},
    room::{Room, failure, unavailable},
};
use proto::{
    MatchId,
    chat::{Code, SendResult},
};

use super::{Run, Shell};
use crate::{
    channel::{Answer, Queue},
    mistake::Mistake,
    store::{Connection, TripError},
};

/// As `chat-service/src/lane/link.rs`.
const GRACE: Duration = Duration::from_secs(2);
const ANSWER_MARGIN: Duration = Duration::from_millis(150);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A request with whoever waits for its answer.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) members: [usize; 2],
    pub(super) deadline: Duration,
    pub(super) answer: Answer<Vec<SendResult>>,
    pub(super) _unfinished: Rc<()>,
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
    /// While the database is known to be away: when to look again.
    next_attempt: Option<Duration>,
}

/// Commits what comes, for ever.
pub(super) async fn run(shell: Shell, jobs: Queue<Job>) {
    let mut lane = Lane { shell, connection: None, next_attempt: None };
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
        while let Some(deadline) = part.drop_expired(self.shell.world.sim.now()) {
            self.connect(deadline).await;
            let Some(connection) = &mut self.connection else {
                part.answer(&unavailable());
                break;
            };
            match self.shell.transact(connection, &part, deadline).await {
                Ok(decision) => {
                    self.shell.finish(part, decision);
                    break;
                }
                Err(TripError::Expired) => {}
                Err(TripError::Lost) => {
                    self.connection = None;
                    self.shell.posted.missed();
                    (part.locked, part.recovering) = (true, true);
                }
                Err(TripError::Stalled | TripError::Duplicate) if part.matches().len() > 1 => return part.split(),
                Err(TripError::Stalled) => {
                    part.answer(&unavailable());
                    break;
                }
                Err(TripError::Duplicate) => {
                    part.answer(&failure(Code::Internal));
                    break;
                }
            }
        }
        Vec::new()
    }

    /// Connects, if need be. The first batch that finds the connection lost waits for it; those that follow are refused at once
    /// until it is back.
    async fn connect(&mut self, deadline: Duration) {
        let world = &self.shell.world;
        let give_up_at = deadline.saturating_sub(ANSWER_MARGIN).min(world.sim.now() + GRACE);
        let is_due = self.next_attempt.is_none_or(|next| world.sim.now() >= next);
        while self.connection.is_none() && is_due {
            self.connection = Connection::open(&world.store).await;
            if self.connection.is_some() {
                self.next_attempt = None;
            } else if self.next_attempt.is_some() || world.sim.now() + RETRY_PAUSE >= give_up_at {
                self.next_attempt = Some(world.sim.now() + RETRY_PAUSE);
                return;
            } else {
                world.sim.sleep(RETRY_PAUSE).await;
            }
        }
    }
}

impl Shell {
    /// Commits what the requests of a part come to; after `chat-service/src/lane/transaction.rs`.
    async fn transact(
        &self,
        connection: &mut Connection,
        part: &Part,
        deadline: Duration,
    ) -> Result<Decision, TripError> {
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
        let ids: Vec<MatchId> = part.matches().into_iter().cloned().collect();
        let found = connection.lock(&ids, &batch::keys(requests)).await?;
        let mut rooms: BTreeMap<MatchId, Room> =
            found.heads.into_iter().map(|(id, head)| (id.clone(), Room::new(id, head))).collect();
        let knows = self.world.mistake != Some(Mistake::NoDedupe);
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
    ) -> Result<Decision, TripError> {
        if self.world.sim.now() >= deadline {
            connection.roll_back().await;
            return Err(TripError::Expired);
        }
        if self.world.mistake == Some(Mistake::AckBeforeCommit) {
            let answers = part.jobs.iter().zip(&decision.results);
            answers.for_each(|(job, results)| job.answer.give_early(results.clone()));
        }
        connection.insert(decision.rows.clone()).await?;
        Ok(decision)
    }

    /// The acks first; then everybody else hears of it.
    fn finish(&self, part: Part, decision: Decision) {
        let (mut members, recovering) = (BTreeMap::new(), part.recovering);
        for (job, results) in part.jobs.into_iter().zip(decision.results) {
            job.answer.give(results);
            members.insert(job.request.match_id, job.members);
        }
        for message in &decision.repeated {
            if let Some((id, _)) = members.get_key_value(message.match_id.as_str()) {
                self.posted.moved(id, message.seq, None);
            }
        }
        let stored = decision.rows.into_iter().map(|row| row.message);
        let unheard = if recovering { decision.repeated } else { Vec::new() };
        let mut runs = Vec::new();
        for messages in batch::runs(stored.chain(unheard).collect()) {
            let Some(last) = messages.last() else { continue };
            let Some((id, members)) = members.get_key_value(last.match_id.as_str()) else { continue };
            self.posted.moved(id, last.seq, Some(last.created_at_ms));
            runs.push(Run { members: *members, messages });
        }
        if !runs.is_empty() {
            self.told.push(runs);
        }
    }
}

impl Part {
    /// Drops the jobs for which nobody waits any more; returns the earliest deadline of the others, if there are any.
    fn drop_expired(&mut self, now: Duration) -> Option<Duration> {
        self.jobs.retain(|job| now < job.deadline);
        self.jobs.iter().map(|job| job.deadline).min()
    }

    fn matches(&self) -> Vec<&MatchId> {
        batch::matches(self.jobs.iter().map(|job| &job.request)).into_iter().collect()
    }

    fn split(self) -> Vec<Self> {
        let recovering = self.recovering;
        let of_matches = batch::by_match(self.jobs, |job| &job.request).into_iter();
        of_matches.map(|jobs| Self { jobs, locked: true, recovering }).collect()
    }

    fn answer(self, result: &SendResult) {
        for job in self.jobs {
            let results = vec![result.clone(); job.request.drafts.len()];
            job.answer.give(results);
        }
    }
}
