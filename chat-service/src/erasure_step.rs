//! What an erasure consists of, by the names under which its receipt has it. Pure.

/// A part of an erasure. Each has a number of its own in the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// What the user shares.
    Settings,
    /// Whom the user has blocked. Who has blocked the user stays safe, should the id appear again.
    Blocks,
    /// Matches in which the user has no part any more.
    Matches,
    /// Messages without their contents.
    Messages,
    /// Earlier contents of messages.
    Versions,
    /// Reactions to others' messages.
    Reactions,
    /// How far the user had come.
    Positions,
    /// Messages that the user has hidden.
    Hidden,
    /// Digests of what the user has asked.
    Commands,
}

impl Step {
    /// In the order of the receipt.
    pub(crate) const ALL: [Self; 9] = [
        Self::Settings,
        Self::Blocks,
        Self::Matches,
        Self::Messages,
        Self::Versions,
        Self::Reactions,
        Self::Positions,
        Self::Hidden,
        Self::Commands,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Blocks => "blocks",
            Self::Matches => "matches",
            Self::Messages => "messages",
            Self::Versions => "versions",
            Self::Reactions => "reactions",
            Self::Positions => "positions",
            Self::Hidden => "hidden",
            Self::Commands => "commands",
        }
    }

    /// Whether it is done as soon as the erasure was asked for.
    pub(crate) fn is_immediate(self) -> bool {
        matches!(self, Self::Settings | Self::Blocks)
    }
}
