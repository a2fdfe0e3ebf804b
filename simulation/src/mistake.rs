//! Mistakes that can be planted, to see that they are found.

use clap::ValueEnum;
use gateway_core::mistake::Mistake as InCore;

/// A mistake that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mistake {
    /// chat-service acks a message before its COMMIT.
    AckBeforeCommit,
    /// What comes within the interval between two COMMITs is left.
    ForgetWaiting,
    /// The database has no unique keys, and nobody looks for what is stored already.
    NoDedupe,
    /// The database does not store how many changes a match has, so that the next one takes the place of the last.
    ForgetRev,
    /// Nobody looks for the change that stands already, and no unique key forbids a second one.
    ChangeAgain,
    /// Nobody looks whether a command that names itself was given before.
    ForgetCommands,
    /// The database does not tell of the last change of the members of a match.
    ForgetMembers,
    /// A gateway keeps the chat of who was removed from it.
    KeepRemoved,
    /// A gateway delivers what comes twice.
    NoDrop,
    /// A gateway delivers what comes, gap or not.
    NoHold,
    /// A gateway never fetches what it has missed.
    NoHealing,
    /// A gateway never compares heads.
    NoComparison,
    /// A gateway forgets what arrives while a join reads its snapshot.
    ForgetHeld,
    /// A gateway believes a cursor whoever brings it.
    NoMembership,
    /// A gateway lets everybody join.
    OpenDoors,
    /// A socket is given its own messages.
    OwnMessages,
    /// A repeated request of a gateway has new ids.
    NewIdsOnRetry,
    /// Sends of one socket are in flight side by side.
    NoTurns,
    /// The counter counts events instead of keeping the highest seq.
    CountEvents,
    /// What the stream did not take is forgotten.
    ForgetUnpublished,
    /// Nobody looks for what a dead replica of chat-service may not have published.
    ForgetTheDead,
    /// A repeated announcement is told again.
    NoTold,
    /// An announcement is told also to who has connected since the milestone was reached.
    ToldElsewhere,
    /// Who has typed is shown as typing for ever.
    NoExpiry,
    /// A step of a call is told as often as it is heard.
    CallsAgain,
    /// A change is told although messages before it are missing.
    EarlyChanges,
    /// A step of a call that the cursor names is told again.
    ForgetCalls,
    /// Nobody asks what became of a call while a device was away.
    ForgetEnds,
    /// A refused command is not answered.
    SilentRefusals,
}

impl Mistake {
    /// The mistake as the gateway's core has it, if it is one of the core's.
    pub(crate) const fn in_the_core(self) -> Option<InCore> {
        Some(match self {
            Self::KeepRemoved => InCore::KeepRemoved,
            Self::NoDrop => InCore::NoDrop,
            Self::NoHold => InCore::NoHold,
            Self::NoHealing => InCore::NoHealing,
            Self::NoComparison => InCore::NoComparison,
            Self::ForgetHeld => InCore::ForgetHeld,
            Self::NoMembership => InCore::NoMembership,
            Self::OpenDoors => InCore::OpenDoors,
            Self::OwnMessages => InCore::OwnMessages,
            Self::NoTurns => InCore::NoTurns,
            Self::NoTold => InCore::NoTold,
            Self::ToldElsewhere => InCore::ToldElsewhere,
            Self::NoExpiry => InCore::NoExpiry,
            Self::CallsAgain => InCore::CallsAgain,
            Self::EarlyChanges => InCore::EarlyChanges,
            Self::ForgetCalls => InCore::ForgetCalls,
            Self::ForgetEnds => InCore::ForgetEnds,
            Self::SilentRefusals => InCore::SilentRefusals,
            _ => return None,
        })
    }
}
