//! Who takes part: three users on four devices, a guest of one match, and two matches with a milestone every few
//! messages.

use chat_service::audience::Audience;
use milestone_service::milestone::{Milestone, Milestones, Scope};
use promises::{GUEST, Tag};
use proto::{MatchId, UserId, chat::Message};

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
const OWNERS: [usize; CLIENTS as usize] = [0, 1, 0, 2, 3];

impl Cast {
    /// The same for every run.
    pub(crate) fn new() -> Self {
        let chat = |number: usize, name| Chat {
            id: valid(MatchId::new(name)),
            members: MEMBERS[number],
            guest: GUESTS[number],
        };
        let milestone = |seq: u32| Milestone {
            id: format!("m-{seq}"),
            threshold: i64::from(seq),
            unlocks: Vec::new(),
            scope: Scope::Pair,
        };
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
    pub(crate) fn owner(slot: u8) -> usize {
        OWNERS[usize::from(slot)]
    }

    /// On which side of a match a device is: 0 and 1 are the members', 2 is a stranger's, and a guest has another.
    pub(crate) fn side(chat: usize, slot: u8) -> u8 {
        let owner = Self::owner(slot);
        let [first, second] = MEMBERS[chat].map(|member| member == owner);
        match () {
            () if first => 0,
            () if second => 1,
            () if GUESTS[chat] == Some(owner) => GUEST,
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

    /// The clientId of a message.
    pub(crate) fn client_id(&self, tag: Tag) -> String {
        format!("{}-{}-{}", self.author(tag), tag.slot, tag.index)
    }

    /// The text of a message; another variant contradicts it.
    pub(crate) fn text(&self, tag: Tag) -> String {
        let denial = if tag.variant == 0 { "" } else { "not " };
        format!("{denial}{}", self.client_id(tag))
    }

    /// Which message has this clientId and this body, which is JSON; none if they do not belong together.
    pub(crate) fn tag_of(&self, named: &str, body: &str) -> Option<Tag> {
        let mut parts = named.rsplit('-');
        let (index, slot) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let mut variants = (0..2).map(|variant| Tag { slot, index, variant }).filter(|_| slot < CLIENTS);
        variants.find(|tag| self.client_id(*tag) == named && format!("\"{}\"", self.text(*tag)) == body)
    }

    /// The same, if this user wrote it.
    pub(crate) fn tag_by(&self, sender: &str, named: &str, body: &str) -> Option<Tag> {
        self.tag_of(named, body).filter(|tag| self.author(*tag).as_str() == sender)
    }

    /// Which message this is; none if it is not what its sender wrote.
    pub(crate) fn tag_of_message(&self, message: &Message) -> Option<Tag> {
        self.tag_by(&message.sender_id, &message.client_id, &message.body)
    }

    fn author(&self, tag: Tag) -> &UserId {
        &self.users[Self::owner(tag.slot)]
    }
}

/// Which of the milestones this threshold is, from 1; 0 for none.
pub(crate) fn ord(threshold: i64) -> u16 {
    let at = MILESTONES.iter().position(|seq| i64::from(*seq) == threshold);
    at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "these are constants")]
fn valid<T, E: std::fmt::Debug>(constant: Result<T, E>) -> T {
    constant.expect("a constant of the simulation is valid")
}
