//! Who takes part: three users on four devices, a guest of one match, and two matches with a milestone every few
//! messages.

use chat_service::audience::Audience;
use milestone_service::milestone::{Milestone, Milestones};
use promises::GUEST;
use proto::{MatchId, UserId};

use crate::schedule::{CHATS, CLIENTS};

/// A match, the two who are always its members, and who is sometimes.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    pub(crate) id: MatchId,
    pub(crate) members: [usize; 2],
    pub(crate) guest: Option<usize>,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) users: Vec<UserId>,
    pub(crate) chats: Vec<Chat>,
    pub(crate) milestones: Milestones,
}

/// The messages that reach milestones: few from one to the next, so that it shows when the stream has lost what was
/// written last.
pub(crate) const MILESTONES: [u32; 10] = [3, 6, 9, 12, 15, 18, 21, 24, 27, 30];

/// The members of each match.
const MEMBERS: [[usize; 2]; CHATS] = [[0, 1], [0, 2]];

/// The guest of each match.
const GUESTS: [Option<usize>; CHATS] = [Some(3), None];

/// Whose the devices are: the first user has two of them.
const OWNERS: [usize; CLIENTS] = [0, 1, 0, 2, 3];

impl Cast {
    /// The same for every run.
    pub(crate) fn new() -> Self {
        let chat = |number: usize, name| Chat {
            id: valid(MatchId::new(name)),
            members: MEMBERS[number],
            guest: GUESTS[number],
        };
        let milestone = |seq: u32| Milestone { id: format!("m-{seq}"), threshold: i64::from(seq), unlocks: Vec::new() };
        Self {
            users: ["alice", "bob", "carol", "dave"].map(|name| valid(UserId::new(name))).to_vec(),
            chats: vec![chat(0, "one"), chat(1, "two")],
            milestones: valid(Milestones::new(MILESTONES.into_iter().map(milestone).collect())),
        }
    }

    /// The members of a match as it is made.
    pub(crate) fn audience(&self, chat: &Chat) -> Audience {
        Audience::new(chat.members.iter().map(|user| self.users[*user].clone()).collect(), 0)
    }

    /// Whose device this is.
    pub(crate) fn owner(client: usize) -> usize {
        OWNERS[client]
    }

    /// On which side of a match a device is: 0 and 1 are the members', 2 is a stranger's, and a guest has another.
    pub(crate) fn side(chat: usize, client: usize) -> u8 {
        let [first, second] = MEMBERS[chat].map(|member| member == OWNERS[client]);
        match () {
            () if first => 0,
            () if second => 1,
            () if GUESTS[chat] == Some(OWNERS[client]) => GUEST,
            () => 2,
        }
    }

    /// The number of a user by its id.
    pub(crate) fn user(&self, id: &str) -> Option<usize> {
        self.users.iter().position(|user| user.as_str() == id)
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
