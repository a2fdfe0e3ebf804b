//! The name of a message.

/// A message: who sent it, as which of its own, with which of several bodies under one clientId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// The client's place in its match.
    pub slot: u8,
    /// Counts a client's messages in a match from 0.
    pub index: u32,
    /// 0 is the message; others, below [`Tag::VARIANTS`], are sent under its clientId to be refused.
    pub variant: u8,
}

impl Tag {
    /// How many bodies one clientId may be sent with.
    pub const VARIANTS: u8 = 4;
}
