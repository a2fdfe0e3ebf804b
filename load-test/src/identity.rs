//! Who writes to whom: the names of the simulated users, their matches and their messages.

use std::{fmt, time::Duration};

/// One of the two members of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first member.
    A,
    /// The second member.
    B,
}

impl Side {
    /// Both members.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["a", "b"][*self as usize])
    }
}

/// One pair of one run. Its match and its users carry the run's name, so that runs never meet.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The match both are members of.
    pub match_id: String,
    /// The users, by side.
    pub users: [String; 2],
}

impl Pair {
    /// Pair number `number` of the run `run`.
    pub fn new(run: &str, number: usize) -> Self {
        Self {
            match_id: format!("load-{run}-{number}"),
            users: Side::BOTH.map(|side| format!("load-{run}-{number}-{side}")),
        }
    }

    /// The user id of a member.
    pub fn user(&self, side: Side) -> &str {
        &self.users[side as usize]
    }

    /// Which member this user is.
    pub fn side_of(&self, user: &str) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.user(*side) == user)
    }
}

/// A message, named by its place among its sender's messages and the time it was meant to be sent. Its clientId says
/// both, so that the receiving side needs no other knowledge to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Counts a sender's messages from 0.
    pub index: u32,
    /// The intended send time, since the run's origin, in whole microseconds.
    pub intended: Duration,
}

impl Tag {
    /// The tag that [`Tag`]'s display wrote for this run; none for anybody else's clientId.
    pub fn parse(run: &str, client_id: &str) -> Option<Self> {
        let mut parts = client_id.strip_prefix(run)?.strip_prefix('-')?.split('-');
        let (index, intended) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { index, intended: Duration::from_micros(intended) })
    }

    /// The clientId of this message in the run `run`.
    pub fn client_id(&self, run: &str) -> String {
        format!("{run}-{}-{}", self.index, self.intended.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_tells_index_and_intended_time() {
        let tag = Tag { index: 17, intended: Duration::from_micros(1_234_567) };
        assert_eq!(tag.client_id("r1"), "r1-17-1234567");
        assert_eq!(Tag::parse("r1", "r1-17-1234567"), Some(tag));
    }

    #[test]
    fn foreign_client_ids_are_no_tags() {
        for id in ["", "r1", "r1-17", "r2-17-1", "r1-x-1", "r1-17-1-1", "r1--1"] {
            assert_eq!(Tag::parse("r1", id), None, "{id}");
        }
    }
}
