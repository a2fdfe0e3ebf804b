//! What can be written to a match. Each command is a file of its own, with what it asks, what it has to see, and its
//! rule.
//!
//! A new one needs a file here, its columns in the log of changes (`store/changes.rs`) and in the table that holds the
//! state (`store/session/statements.rs`), the event that tells of it (`news.rs`), and a call that asks for it.

mod change_members;
mod change_message;
mod close_match;
mod leave_group;
mod needs;
mod patch_members;
mod record_milestone;
mod send_messages;

pub use change_members::{ChangeMembers, MAX_MEMBERS};
pub use change_message::{ChangeMessage, MessageChange, Windows};
pub use close_match::CloseMatch;
pub use leave_group::LeaveGroup;
pub use needs::{Advances, Wanted};
pub use patch_members::{Addition, PatchMembers};
pub use record_milestone::RecordMilestone;
pub use send_messages::SendMessages;

use std::fmt::Debug;

use proto::MatchId;

use crate::{
    outcome::{Outcome, Refusal},
    room::Room,
};

/// Something that is to be written to a match, by somebody who may.
///
/// Commands of many matches are decided together, in the transaction that has locked the matches' rows. A command that
/// is decided a second time, as after a COMMIT whose outcome is unknown, finds what it has written before.
pub trait Command: Debug + Send + Sync {
    /// The match.
    fn match_id(&self) -> &MatchId;

    /// How many rows it writes at most.
    fn rows(&self) -> usize {
        1
    }

    /// How many bytes of content it holds.
    fn bytes(&self) -> usize {
        0
    }

    /// Notes how far the head of its match moves, if nothing of the command is stored yet and a unique key would tell
    /// otherwise. False when the command must see what is stored: then its batch locks the matches first.
    fn advance<'a>(&'a self, _advances: &mut Advances<'a>) -> bool {
        false
    }

    /// Notes what it has to see of what is stored.
    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>);

    /// Decides in the room of its match.
    fn decide(&self, room: &mut Room) -> Outcome;

    /// The outcome when it is not decided.
    fn refuse(&self, refusal: Refusal) -> Outcome {
        Outcome::Changed(Err(refusal))
    }

    /// One of the pieces that are tried alone after PostgreSQL has refused the whole: `None` behind the last of them.
    fn piece(&self, _index: usize) -> Option<Box<dyn Command>> {
        None
    }
}
