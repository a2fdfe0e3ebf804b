//! Some of a batch, on its way through its attempts. Pure.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use proto::{
    MatchId,
    chat::{Code, Message, SendResult},
};

use super::{TripError, waiting::Job};
use crate::{
    batch::{self, Decision, Request},
    room::{failure, unavailable},
};

/// Requests that are committed together. While it lives, nobody else commits anything of its matches.
#[derive(Debug)]
pub struct Part<T> {
    jobs: VecDeque<Job<T>>,
    matches: BTreeSet<MatchId>,
    scope: Scope,
    /// Some rows may be stored already: the fast way would fail.
    locked: bool,
    /// An earlier attempt may have committed without telling anybody.
    recovering: bool,
    not_before: Option<Instant>,
}

/// How much of a part an attempt takes.
#[derive(Debug)]
enum Scope {
    All,
    /// The first request: PostgreSQL will never take some of its match's.
    Request,
    /// The next draft of the first request, of which it will never take some. With the request of this draft, and what
    /// became of those before it.
    Draft(Request, Decision),
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Conclusion<T> {
    /// The answers, which go out first.
    pub answered: Vec<Answered<T>>,
    /// What is to be told to the members: runs of one match each, in `seq` order.
    pub runs: Vec<Vec<Message>>,
    /// What was stored before, and may have been told to nobody.
    pub repeated: Vec<Message>,
    /// Whether it may have committed what nobody can tell of now.
    pub is_unknown: bool,
    /// For [`Lanes::done`](super::Lanes::done), when everybody was told.
    pub rest: Rest<T>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answered<T> {
    /// Its match.
    pub match_id: MatchId,
    /// Who waits.
    pub ticket: T,
    /// One result per draft.
    pub results: Vec<SendResult>,
}

/// What is left of a part after an attempt.
#[derive(Debug)]
pub struct Rest<T> {
    pub(super) parts: Vec<Part<T>>,
    pub(super) free: BTreeSet<MatchId>,
    /// Whether another transaction won.
    pub(super) is_contended: bool,
}

impl<T> Part<T> {
    /// A whole batch before its first attempt.
    pub(super) fn first(jobs: Vec<Job<T>>) -> Self {
        let matches = jobs.iter().map(|job| job.request.match_id.clone()).collect();
        Self { jobs: jobs.into(), matches, scope: Scope::All, locked: false, recovering: false, not_before: None }
    }

    /// Who waits for it.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = &T> {
        self.jobs.iter().map(|job| &job.ticket)
    }

    /// What the next attempt is to commit.
    pub fn requests(&self) -> Vec<&Request> {
        match &self.scope {
            Scope::All => self.jobs.iter().map(|job| &job.request).collect(),
            Scope::Request => self.jobs.iter().take(1).map(|job| &job.request).collect(),
            Scope::Draft(request, _) => vec![request],
        }
    }

    /// Whether some of it is likely to be stored already.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// The matches that nobody else commits anything of.
    pub fn matches(&self) -> &BTreeSet<MatchId> {
        &self.matches
    }

    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(super) fn wait_until(&mut self, at: Instant) {
        self.not_before = Some(at);
    }

    /// Drops the jobs for which nobody waits any more; returns the earliest deadline of the others, if there are any.
    ///
    /// A request of which some drafts are stored stays: that has to be told.
    pub(super) fn drop_expired(&mut self, now: Instant) -> Option<Instant> {
        let is_begun = matches!(self.scope, Scope::Draft(..));
        let mut index = 0;
        self.jobs.retain(|job| {
            index += 1;
            now < job.deadline || (is_begun && index == 1)
        });
        let taken = if matches!(self.scope, Scope::All) { self.jobs.len() } else { 1 };
        self.jobs.iter().take(taken).map(|job| job.deadline).min()
    }

    /// An attempt has ended: who is answered what, and what is tried again.
    pub fn conclude(mut self, outcome: Result<Decision, TripError>) -> Conclusion<T> {
        let error = match outcome {
            Ok(decision) => return self.committed(decision),
            Err(error) => error,
        };
        let is_never = matches!(error, TripError::Broken | TripError::Duplicate);
        if let Scope::Draft(_, done) = &mut self.scope {
            let lost = error == TripError::Lost;
            if is_never {
                push(done, failure(Code::Internal));
                return self.next_draft();
            }
            return self.give_up_drafts(lost);
        }
        match error {
            TripError::Expired => self.again(false),
            TripError::Contended => {
                self.locked = true;
                self.again(true)
            }
            TripError::Lost => {
                (self.locked, self.recovering) = (true, true);
                Conclusion { is_unknown: true, ..self.again(false) }
            }
            TripError::Stalled | TripError::Broken | TripError::Duplicate if self.matches.len() > 1 => self.split(),
            TripError::Away | TripError::Stalled | TripError::Refused => self.refuse(),
            TripError::Broken | TripError::Duplicate if self.jobs.len() > 1 && matches!(self.scope, Scope::All) => {
                (self.scope, self.locked) = (Scope::Request, true);
                self.again(false)
            }
            TripError::Broken | TripError::Duplicate => {
                self.locked = true;
                self.begin_drafts()
            }
        }
    }

    fn committed(mut self, decision: Decision) -> Conclusion<T> {
        match self.scope {
            Scope::All => {
                let Decision { results, rows, repeated } = decision;
                let answered = self.jobs.drain(..).zip(results).map(|(job, results)| answer(job, results)).collect();
                self.ended(answered, Decision { rows, repeated, ..Decision::default() })
            }
            Scope::Request => self.answer_first(decision),
            Scope::Draft(_, ref mut done) => {
                decision.results.into_iter().flatten().for_each(|result| push(done, result));
                done.rows.extend(decision.rows);
                done.repeated.extend(decision.repeated);
                self.next_draft()
            }
        }
    }

    /// The first request has this answer; the others go on.
    fn answer_first(mut self, mut decision: Decision) -> Conclusion<T> {
        let results = decision.results.pop().unwrap_or_default();
        let answered = self.jobs.pop_front().map(|job| answer(job, results));
        self.scope = Scope::Request;
        self.ended(answered.into_iter().collect(), decision)
    }

    /// Goes on with the next draft of the first request, or with the next request.
    fn next_draft(mut self) -> Conclusion<T> {
        let Scope::Draft(single, done) = &mut self.scope else { return self.again(false) };
        let tried = done.results.first().map_or(0, Vec::len);
        let Some(draft) = self.jobs.front().and_then(|job| job.request.drafts.get(tried)) else {
            let done = std::mem::take(done);
            return self.answer_first(done);
        };
        single.drafts = vec![draft.clone()];
        self.again(false)
    }

    fn begin_drafts(mut self) -> Conclusion<T> {
        let Some(job) = self.jobs.front() else { return self.again(false) };
        let whole = Decision { results: vec![Vec::new()], ..Decision::default() };
        self.scope = Scope::Draft(Request { drafts: Vec::new(), ..job.request.clone() }, whole);
        self.next_draft()
    }

    /// The drafts that are left may be tried again by their sender.
    fn give_up_drafts(mut self, lost: bool) -> Conclusion<T> {
        let Scope::Draft(_, done) = &mut self.scope else { return self.again(false) };
        let mut done = std::mem::take(done);
        let count = self.jobs.front().map_or(0, |job| job.request.drafts.len());
        if let Some(results) = done.results.first_mut() {
            results.resize(count, unavailable());
        }
        Conclusion { is_unknown: lost, ..self.answer_first(done) }
    }

    /// Answers what the attempt took with "unavailable".
    fn refuse(mut self) -> Conclusion<T> {
        let count = if matches!(self.scope, Scope::All) { self.jobs.len() } else { 1 };
        let refused = self.jobs.drain(..count.min(self.jobs.len())).map(|job| {
            let results = vec![unavailable(); job.request.drafts.len()];
            answer(job, results)
        });
        let answered = refused.collect();
        self.ended(answered, Decision::default())
    }

    /// Match by match, so that one that cannot be stored does not take the others along.
    fn split(self) -> Conclusion<T> {
        let recovering = self.recovering;
        let of_matches = batch::by_match(self.jobs.into(), |job| &job.request).into_iter();
        let parts: Vec<_> = of_matches.map(|jobs| Self { locked: true, recovering, ..Self::first(jobs) }).collect();
        let kept: BTreeSet<_> = parts.iter().flat_map(|part| part.matches.iter().cloned()).collect();
        let free = self.matches.difference(&kept).cloned().collect();
        Conclusion::of(Rest { parts, free, is_contended: false })
    }

    fn again(self, is_contended: bool) -> Conclusion<T> {
        Conclusion::of(Rest { parts: vec![self], free: BTreeSet::new(), is_contended })
    }

    /// Answers are due, and everybody is told what is stored. Requests that have no answer yet are tried again.
    fn ended(self, answered: Vec<Answered<T>>, decision: Decision) -> Conclusion<T> {
        let stored = decision.rows.into_iter().map(|row| row.message);
        let unheard = if self.recovering { decision.repeated.clone() } else { Vec::new() };
        let runs = batch::runs(stored.chain(unheard).collect());
        let rest = if self.jobs.is_empty() {
            Rest { parts: Vec::new(), free: self.matches, is_contended: false }
        } else {
            Rest { parts: vec![self], free: BTreeSet::new(), is_contended: false }
        };
        Conclusion { answered, runs, repeated: decision.repeated, ..Conclusion::of(rest) }
    }
}

impl<T> Conclusion<T> {
    /// Nobody is answered or told anything.
    fn of(rest: Rest<T>) -> Self {
        Self { answered: Vec::new(), runs: Vec::new(), repeated: Vec::new(), is_unknown: false, rest }
    }
}

fn answer<T>(job: Job<T>, results: Vec<SendResult>) -> Answered<T> {
    Answered { match_id: job.request.match_id, ticket: job.ticket, results }
}

fn push(decision: &mut Decision, result: SendResult) {
    if let Some(results) = decision.results.first_mut() {
        results.push(result);
    }
}
