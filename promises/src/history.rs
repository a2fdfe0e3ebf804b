//! What the clients of one match did and saw, as compact entries in the order of time.

use std::{fmt, time::Duration};

use proto::Code;

use crate::tag::Tag;

/// How a message went to the system; it decides which sockets count as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Emitted by the client's socket.
    Socket,
    /// Saved by REST in the name of the client's socket.
    NamedRest,
    /// Saved by REST in the name of no socket.
    Rest,
}

/// Stands for the app server where an entry names a client.
pub const APP_SERVER: u8 = u8::MAX;

/// What anybody knew of a match when something was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The highest seq that was acked or seen.
    pub highest: u32,
    /// Somebody had been told that the match is closed.
    pub closed: bool,
}

/// How a call ended.
pub type Reason = &'static str;

/// Something that a client did or saw. A `tag` is none where the body is nobody's, a `call` is the hash of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field has no more to say than its name and its variant")]
pub enum Event {
    /// A connection was accepted; `recovered` if it goes on where an earlier one ended, with that one's pid.
    Connected { recovered: bool },
    /// The page was reloaded: it brings nothing of its earlier connections, and is another device.
    Reloaded,
    /// The cursor that the recovered connection brought has this chat: up to where it was read, and how many of its
    /// milestones were told.
    Resumed { seq: u32, told: u16 },
    /// The cursor that the recovered connection brought lacks this chat, which was open.
    Forgotten,
    /// The connection is gone.
    Disconnected,
    /// The chat is open: live messages follow `last_seq`, the head of the snapshot, which has `told` milestones.
    /// `known` is of the time when the join was asked for.
    Joined { last_seq: u32, known: Known, told: u16 },
    /// A join was refused.
    JoinRefused { code: Code },
    /// The chat is not open any more.
    Left,
    /// The app server asks for the match to be closed.
    CloseAsked,
    /// The app server was told that the match is closed.
    Closed,
    /// `match_closed`.
    ToldClosed,
    /// The same, as the client is no member any more.
    ToldRemoved,
    /// A message was sent, for the first time or again.
    Emitted { tag: Tag, route: Route },
    /// An `ok` ack: the message is stored at `seq`, and was before if it is a `duplicate`.
    Acked { tag: Tag, seq: u32, duplicate: bool },
    /// An ack that is not `ok`.
    Refused { tag: Tag, code: Code },
    /// Nothing more will be sent or answered under the clientId of the client's message `index`.
    Settled { index: u32 },
    /// A live or replayed message.
    Received { tag: Option<Tag>, seq: u32 },
    /// A message in a page.
    Paged { tag: Option<Tag>, seq: u32 },
    /// A page lacks a message or has it at the wrong place: what was due and what was there, 0 for nothing.
    PageBroken { expected: u32, found: u32 },
    /// `milestone_reached`: the match's milestone number `ord`, from 1.
    Milestone { ord: u16 },
    /// The client accepted a call, and was told that it did.
    CallAccepted { call: u64 },
    /// The client was told that a call is over.
    CallEnded { call: u64, reason: Reason },
}

/// An event, of whom and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since the crowd's origin.
    pub at_ms: u32,
    /// The client's place in its match.
    pub slot: u8,
    /// What.
    pub event: Event,
}

impl Entry {
    /// When, since the crowd's origin.
    pub fn at(&self) -> Duration {
        ms(self.at_ms)
    }
}

impl Event {
    /// The message that it is about.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Self::Emitted { tag, .. } | Self::Acked { tag, .. } | Self::Refused { tag, .. } => Some(*tag),
            Self::Received { tag, .. } | Self::Paged { tag, .. } => *tag,
            _ => None,
        }
    }

    /// The call that it is about.
    pub fn call(&self) -> Option<u64> {
        match self {
            Self::CallAccepted { call } | Self::CallEnded { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// The place in the match that it is about.
    pub fn seq(&self) -> Option<u32> {
        match self {
            Self::Acked { seq, .. }
            | Self::Received { seq, .. }
            | Self::Paged { seq, .. }
            | Self::Resumed { seq, .. }
            | Self::Joined { last_seq: seq, .. } => Some(*seq),
            _ => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_s = self.at().as_secs_f64();
        match self.slot {
            APP_SERVER => write!(f, "{at_s:>9.3} s  app server  {:?}", self.event),
            slot => write!(f, "{at_s:>9.3} s  client {slot}  {:?}", self.event),
        }
    }
}

/// The time of an entry, since the crowd's origin.
pub(crate) fn ms(at_ms: u32) -> Duration {
    Duration::from_millis(u64::from(at_ms))
}
