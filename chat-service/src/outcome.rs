//! What a command has come to.

use proto::{
    UserId,
    chat::{Change, Code, SendResult, change::Kind},
};
use thiserror::Error;

/// The answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Of a send: one result per draft.
    Sent(Vec<SendResult>),
    /// Of any other command: the change that it asked for, or why there is none.
    Changed(Result<Changed, Refusal>),
}

/// A change that stands in the log of a match.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The change.
    pub change: Change,
    /// Whether this command has made it. False when it stood there already.
    pub is_new: bool,
}

/// Why a command has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such match.
    #[error("no such match")]
    NoMatch,
    /// The match has fewer messages than the milestone needs.
    #[error("the match has fewer messages")]
    NotReached,
    /// The milestone is one of groups and the match is none, or the other way round.
    #[error("the match is of another kind")]
    OtherKind,
    /// The match is closed.
    #[error("the match is closed")]
    Closed,
    /// Its members are not those that the caller knows.
    #[error("the members have changed")]
    MembersChanged,
    /// The match would have more members than it may.
    #[error("too many members")]
    TooManyMembers,
    /// The user who asks for it may not have it, for this reason.
    #[error("{}", .0.as_str_name())]
    MayNot(Code),
    /// The match would have no members.
    #[error("the last member cannot be removed")]
    NobodyLeft,
    /// The outcome is unknown, or nobody can write it now.
    #[error("nothing can be written now")]
    Unavailable,
    /// PostgreSQL will never take it.
    #[error("PostgreSQL refuses")]
    Broken,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::MayNot(code)
    }
}

impl Outcome {
    /// Adds the outcome of a command's next piece.
    pub fn add(&mut self, next: Self) {
        match (self, next) {
            (Self::Sent(results), Self::Sent(more)) => results.extend(more),
            (whole, next) => *whole = next,
        }
    }

    /// The outcome of the pieces that were tried, and for the others that of the whole if none had been tried.
    #[must_use]
    pub fn with_untried(mut self, untried: &Self) -> Self {
        if let (Self::Sent(results), Self::Sent(all)) = (&mut self, untried) {
            results.extend(all.iter().skip(results.len()).cloned());
        }
        self
    }

    /// Who has added users to a group by it, and how many.
    pub fn invitations(&self) -> Option<(UserId, i64)> {
        let Self::Changed(Ok(Changed { change, is_new: true })) = self else { return None };
        let Some(Kind::Membership(membership)) = &change.kind else { return None };
        let by = UserId::new(membership.actor.as_deref()?).ok()?;
        Some((by, i64::try_from(membership.added.len()).unwrap_or(i64::MAX)))
    }

    /// The results of a send.
    pub fn into_results(self) -> Vec<SendResult> {
        match self {
            Self::Sent(results) => results,
            Self::Changed(_) => Vec::new(),
        }
    }

    /// What became of any other command.
    ///
    /// # Errors
    /// When it has changed nothing.
    pub fn into_change(self) -> Result<Changed, Refusal> {
        match self {
            Self::Changed(result) => result,
            Self::Sent(_) => Err(Refusal::Broken),
        }
    }
}
