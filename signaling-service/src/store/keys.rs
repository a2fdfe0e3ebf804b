//! The names of all Redis keys.

use std::{fmt, str::FromStr};

use proto::{IdError, MatchId, UserId, ids::CallId};

use crate::call::Call;

/// Builds the keys of one stack.
#[derive(Debug)]
pub(super) struct Keys {
    base: String,
    call_prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let base = format!("{prefix}{{calls}}:");
        let call_prefix = format!("{base}call:");
        Self { base, call_prefix }
    }

    pub(super) fn call_prefix(&self) -> &str {
        &self.call_prefix
    }

    pub(super) fn call(&self, id: &CallId) -> String {
        format!("{}{id}", self.call_prefix)
    }

    pub(super) fn of_match(&self, id: &MatchId) -> String {
        format!("{}match:{id}", self.base)
    }

    pub(super) fn of_user(&self, id: &UserId) -> String {
        format!("{}user:{id}", self.base)
    }

    pub(super) fn last_of_user(&self, id: &UserId) -> String {
        format!("{}last:{id}", self.base)
    }

    pub(super) fn rings(&self, caller: &UserId) -> String {
        format!("{}rings:{caller}", self.base)
    }

    pub(super) fn rings_in_match(&self, caller: &UserId, id: &MatchId) -> String {
        format!("{}rings:{caller}:{id}", self.base)
    }

    pub(super) fn deadlines(&self) -> String {
        format!("{}deadlines", self.base)
    }

    pub(super) fn sweep(&self) -> String {
        format!("{}sweep", self.base)
    }
}

/// A call and its match, as the sorted set of deadlines names them: `<matchId>:<callId>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRef {
    /// The match.
    pub match_id: MatchId,
    /// The call.
    pub call_id: CallId,
}

impl CallRef {
    /// What names the call.
    pub fn of(call: &Call) -> Self {
        Self { match_id: call.match_id.clone(), call_id: call.id.clone() }
    }
}

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.match_id, self.call_id)
    }
}

impl FromStr for CallRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (match_id, call_id) = text.split_once(':').ok_or(IdError::Malformed)?;
        Ok(Self { match_id: match_id.parse()?, call_id: call_id.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_frozen() {
        let keys = Keys::new("t1.");
        assert_eq!(keys.call(&CallId::new("c").unwrap()), "t1.{calls}:call:c");
        assert_eq!(keys.of_match(&MatchId::new("demo").unwrap()), "t1.{calls}:match:demo");
        assert_eq!(keys.of_user(&UserId::new("alice").unwrap()), "t1.{calls}:user:alice");
        let (alice, demo) = (UserId::new("alice").unwrap(), MatchId::new("demo").unwrap());
        assert_eq!(keys.last_of_user(&alice), "t1.{calls}:last:alice");
        assert_eq!(keys.rings(&alice), "t1.{calls}:rings:alice");
        assert_eq!(keys.rings_in_match(&alice, &demo), "t1.{calls}:rings:alice:demo");
        assert_eq!(keys.deadlines(), "t1.{calls}:deadlines");
        assert_eq!(keys.sweep(), "t1.{calls}:sweep");
    }

    #[test]
    fn a_member_of_the_sorted_set_names_its_call() {
        let call = CallRef { match_id: MatchId::new("demo").unwrap(), call_id: CallId::new("c-1").unwrap() };
        assert_eq!(call.to_string(), "demo:c-1");
        assert_eq!("demo:c-1".parse(), Ok(call));
        assert!("demo".parse::<CallRef>().is_err());
    }
}
