//! The promises, by the names that every report has for them.

/// A promise of the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// What was acked is stored, at the seq of the ack, with the body that was sent.
    Durable,
    /// A message is stored once per clientId; the first body wins.
    Once,
    /// seq is gapless, follows real time, and keeps the order of each socket's emits.
    Ordered,
    /// Joined sockets get each message once and in order, never their own.
    Delivered,
    /// A milestone is announced once to who has joined, at most once to others.
    Milestones,
    /// Each change of a message is told once and in order, repeats change nothing, and what is shown is what is stored.
    Changes,
    /// Strangers learn nothing.
    Secret,
    /// Whatever is asked is answered, refusals with their code.
    Answered,
    /// Both sides of a call agree: one device accepts, one reason ends it.
    Calls,
    /// Who has a match open when it is closed is told so; nothing is stored and nobody joins after that.
    Closed,
}

impl Promise {
    /// Every promise, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Durable,
        Self::Once,
        Self::Ordered,
        Self::Delivered,
        Self::Milestones,
        Self::Changes,
        Self::Secret,
        Self::Answered,
        Self::Calls,
        Self::Closed,
    ];

    /// One line for the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Durable => "acked is stored",
            Self::Once => "stored once",
            Self::Ordered => "gapless, in order",
            Self::Delivered => "delivered once, in order",
            Self::Milestones => "milestones told once",
            Self::Changes => "changes told once",
            Self::Secret => "strangers learn nothing",
            Self::Answered => "everything is answered",
            Self::Calls => "calls agree",
            Self::Closed => "closed for good",
        }
    }
}
