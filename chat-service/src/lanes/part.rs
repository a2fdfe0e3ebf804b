//! Some of a batch, on its way through its attempts. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use proto::MatchId;

use super::{Progress, TripError, waiting::Job};
use crate::{
    audience::Audience,
    batch::{self, Decision},
    command::Command,
    news::{self, News},
    outcome::{Outcome, Refusal},
};

/// Commands that are committed together. While it lives, nobody else commits anything of its matches.
#[derive(Debug)]
pub struct Part<T> {
    jobs: VecDeque<Job<T>>,
    matches: BTreeSet<MatchId>,
    scope: Scope,
    /// Some of it may be stored already: the fast way would fail.
    locked: bool,
    /// An earlier attempt may have committed without telling anybody.
    recovering: bool,
    not_before: Option<Instant>,
}

/// How much of a part an attempt takes.
#[derive(Debug)]
enum Scope {
    All,
    /// The first command: PostgreSQL will never take some of its match's.
    First,
    /// A piece of the first command, of which it will never take some.
    Piece(Box<Piece>),
}

/// A piece of a command, such as one of its drafts.
#[derive(Debug)]
struct Piece {
    command: Box<dyn Command>,
    index: usize,
    /// What became of those before it.
    done: Decision,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Conclusion<T> {
    /// The answers, which go out first.
    pub answered: Vec<Answered<T>>,
    /// How far the matches have come.
    pub progress: Vec<Progress>,
    /// What the members of the matches are told, in this order.
    pub news: Vec<News>,
    /// The audiences that are others than was known, as they are now.
    pub changed: BTreeMap<MatchId, Audience>,
    /// Whether it may have committed what nobody can tell of now.
    pub is_unknown: bool,
    /// For [`Lanes::done`](super::Lanes::done), when everybody was told.
    pub rest: Rest<T>,
}

/// The answer to a command.
#[derive(Debug)]
pub struct Answered<T> {
    /// Its match.
    pub match_id: MatchId,
    /// Who waits.
    pub ticket: T,
    /// What it came to.
    pub outcome: Outcome,
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
        let matches = jobs.iter().map(|job| job.match_id().clone()).collect();
        Self { jobs: jobs.into(), matches, scope: Scope::All, locked: false, recovering: false, not_before: None }
    }

    /// Who waits for it.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = &T> {
        self.jobs.iter().map(|job| &job.ticket)
    }

    /// What the next attempt is to commit.
    pub fn commands(&self) -> Vec<&dyn Command> {
        match &self.scope {
            Scope::All | Scope::First => self.jobs.iter().take(self.taken()).map(|job| &*job.command).collect(),
            Scope::Piece(piece) => vec![&*piece.command],
        }
    }

    /// What is known of the audience of each match of these commands: nothing where they do not agree.
    pub fn audiences(&self) -> BTreeMap<&MatchId, Option<&Audience>> {
        let mut audiences: BTreeMap<&MatchId, Option<&Audience>> = BTreeMap::new();
        for job in self.jobs.iter().take(self.taken()) {
            let known = audiences.entry(job.match_id()).or_insert(Some(&job.audience));
            *known = known.filter(|audience| audience.version() == job.audience.version());
        }
        audiences
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
    /// A command of which some pieces are stored stays: that has to be told.
    pub(super) fn drop_expired(&mut self, now: Instant) -> Option<Instant> {
        let is_begun = matches!(self.scope, Scope::Piece(_));
        let mut index = 0;
        self.jobs.retain(|job| {
            index += 1;
            now < job.deadline || (is_begun && index == 1)
        });
        self.jobs.iter().take(self.taken()).map(|job| job.deadline).min()
    }

    /// An attempt has ended: who is answered what, and what is tried again.
    pub fn conclude(mut self, outcome: Result<Decision, TripError>) -> Conclusion<T> {
        let error = match outcome {
            Ok(decision) => return self.committed(decision),
            Err(error) => error,
        };
        if let Scope::Piece(_) = self.scope {
            return self.piece_failed(error);
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
            TripError::Away | TripError::Stalled | TripError::Refused => self.refuse(Refusal::Unavailable),
            TripError::Broken | TripError::Duplicate if self.taken() > 1 => {
                (self.scope, self.locked) = (Scope::First, true);
                self.again(false)
            }
            TripError::Broken | TripError::Duplicate => {
                self.locked = true;
                self.begin_pieces()
            }
        }
    }

    /// How many jobs an attempt takes, whole or in part.
    fn taken(&self) -> usize {
        if matches!(self.scope, Scope::All) { self.jobs.len() } else { 1.min(self.jobs.len()) }
    }

    fn committed(mut self, mut decision: Decision) -> Conclusion<T> {
        if let Scope::Piece(_) = self.scope {
            return self.piece_ended(decision);
        }
        let outcomes = std::mem::take(&mut decision.outcomes);
        let answered = self.jobs.drain(..self.taken()).zip(outcomes);
        let answered = answered.map(|(job, outcome)| Answered::new(job, outcome)).collect();
        self.ended(answered, decision)
    }

    /// Tries the first command piece by piece, if it has any.
    fn begin_pieces(mut self) -> Conclusion<T> {
        let Some(command) = self.jobs.front().and_then(|job| job.command.piece(0)) else {
            return self.refuse(Refusal::Broken);
        };
        self.scope = Scope::Piece(Box::new(Piece { command, index: 0, done: Decision::default() }));
        self.again(false)
    }

    /// Goes on with the next piece of the first command, or with the next command.
    fn piece_ended(mut self, decision: Decision) -> Conclusion<T> {
        let (Scope::Piece(piece), Some(first)) = (&mut self.scope, self.jobs.front()) else { return self.again(false) };
        piece.done.add(decision);
        piece.index += 1;
        if let Some(command) = first.command.piece(piece.index) {
            piece.command = command;
            return self.again(false);
        }
        self.answer_pieces()
    }

    /// A piece that PostgreSQL will never take fails alone. After any other failure the pieces that are left may be
    /// tried again by who has asked.
    fn piece_failed(self, error: TripError) -> Conclusion<T> {
        match &self.scope {
            Scope::Piece(piece) if matches!(error, TripError::Broken | TripError::Duplicate) => {
                let outcomes = vec![piece.command.refuse(Refusal::Broken)];
                self.piece_ended(Decision { outcomes, ..Decision::default() })
            }
            _ => Conclusion { is_unknown: error == TripError::Lost, ..self.answer_pieces() },
        }
    }

    /// The first command is answered. Its pieces that were not tried are unavailable.
    fn answer_pieces(mut self) -> Conclusion<T> {
        let Scope::Piece(piece) = std::mem::replace(&mut self.scope, Scope::First) else { return self.again(false) };
        let Piece { mut done, .. } = *piece;
        let answered = self.jobs.pop_front().map(|job| {
            let untried = job.command.refuse(Refusal::Unavailable);
            let outcome = match done.outcomes.pop() {
                Some(tried) => tried.with_untried(&untried),
                None => untried,
            };
            Answered::new(job, outcome)
        });
        self.ended(answered.into_iter().collect(), done)
    }

    /// Refuses what the attempt took.
    fn refuse(mut self, refusal: Refusal) -> Conclusion<T> {
        let refused = self.jobs.drain(..self.taken()).map(|job| {
            let outcome = job.command.refuse(refusal);
            Answered::new(job, outcome)
        });
        let answered = refused.collect();
        self.ended(answered, Decision::default())
    }

    /// Match by match, so that one that cannot be stored does not take the others along.
    fn split(self) -> Conclusion<T> {
        let recovering = self.recovering;
        let of_matches = batch::by_match(self.jobs.into(), Job::match_id).into_iter();
        let parts: Vec<_> = of_matches.map(|jobs| Self { locked: true, recovering, ..Self::first(jobs) }).collect();
        let kept: BTreeSet<_> = parts.iter().flat_map(|part| part.matches.iter().cloned()).collect();
        let free = self.matches.difference(&kept).cloned().collect();
        Conclusion::of(Rest { parts, free, is_contended: false })
    }

    fn again(self, is_contended: bool) -> Conclusion<T> {
        Conclusion::of(Rest { parts: vec![self], free: BTreeSet::new(), is_contended })
    }

    /// Answers are due, and everybody is told what is stored. Commands that have no answer yet are tried again.
    fn ended(self, answered: Vec<Answered<T>>, decision: Decision) -> Conclusion<T> {
        let Decision { writes, mut retold, repeated, members, changed, .. } = decision;
        let mut progress: Vec<_> = repeated.iter().filter_map(Progress::of_another).collect();
        if self.recovering {
            retold.extend(repeated);
        }
        let news = news::news(writes.into_entries().chain(retold).collect(), &members);
        progress.extend(news.iter().filter_map(Progress::of_own));
        let rest = if self.jobs.is_empty() {
            Rest { parts: Vec::new(), free: self.matches, is_contended: false }
        } else {
            Rest { parts: vec![self], free: BTreeSet::new(), is_contended: false }
        };
        Conclusion { answered, progress, news, changed, ..Conclusion::of(rest) }
    }
}

impl<T> Answered<T> {
    fn new(job: Job<T>, outcome: Outcome) -> Self {
        Self { match_id: job.match_id().clone(), ticket: job.ticket, outcome }
    }
}

impl<T> Conclusion<T> {
    /// Nobody is answered or told anything.
    fn of(rest: Rest<T>) -> Self {
        Self { answered: vec![], progress: vec![], news: vec![], changed: BTreeMap::new(), is_unknown: false, rest }
    }
}
