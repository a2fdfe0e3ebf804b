//! Who takes part: three users on four devices, and two matches with a milestone every few messages.

use milestone_service::milestone::{Milestone, Milestones};
use proto::{MatchId, UserId};

use crate::schedule::CLIENTS;

/// A match and its two members.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    pub(crate) id: MatchId,
    pub(crate) members: [usize; 2],
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) users: Vec<UserId>,
    pub(crate) chats: Vec<Chat>,
    pub(crate) milestones: Milestones,
}

/// Messages from one milestone to the next: few, so that it shows when the stream has lost what was written last.
const MILESTONE_EVERY: i64 = 3;
const MILESTONES: i64 = 10;

/// Whose the devices are: the first user has two of them.
const OWNERS: [usize; CLIENTS] = [0, 1, 0, 2];

impl Cast {
    /// The same for every run.
    pub(crate) fn new() -> Self {
        let chat = |name: &str, members| Chat { id: valid(MatchId::new(name)), members };
        let milestone = |number| {
            let threshold = number * MILESTONE_EVERY;
            Milestone { id: format!("m-{threshold}"), threshold, unlocks: Vec::new() }
        };
        Self {
            users: ["alice", "bob", "carol"].map(|name| valid(UserId::new(name))).to_vec(),
            chats: vec![chat("one", [0, 1]), chat("two", [0, 2])],
            milestones: valid(Milestones::new((1..=MILESTONES).map(milestone).collect())),
        }
    }

    /// Whose device this is.
    pub(crate) fn owner(client: usize) -> usize {
        OWNERS[client]
    }

    /// The number of a user by its id.
    pub(crate) fn user(&self, id: &str) -> Option<usize> {
        self.users.iter().position(|user| user.as_str() == id)
    }

    /// The place of a milestone in the order of all, by its threshold.
    pub(crate) fn ord(threshold: i64) -> i32 {
        i32::try_from(threshold / MILESTONE_EVERY).unwrap_or_default()
    }

    /// The number of a match by its id.
    pub(crate) fn chat(&self, id: &str) -> Option<usize> {
        self.chats.iter().position(|chat| chat.id.as_str() == id)
    }
}

#[expect(clippy::expect_used, reason = "these are constants")]
fn valid<T, E: std::fmt::Debug>(constant: Result<T, E>) -> T {
    constant.expect("a constant of the simulation is valid")
}
