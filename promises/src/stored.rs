//! A stored message in eight bytes, so that hours of messages fit.

use crate::tag::Tag;

/// Which sockets count a message as their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The sending client, in the session with this number.
    Session(u16),
    /// No socket: it was saved by REST.
    Rest,
    /// One of several: it was sent in more than one way before it was seen.
    Unclear,
}

impl Origin {
    /// The origin of what was sent in one more way.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Unclear }
    }
}

/// A stored message: its tag and its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    index: u32,
    session: u16,
    slot: u8,
    /// Two bits of variant above two of origin; [`UNKNOWN`] for nothing.
    kind: u8,
}

const UNKNOWN: u8 = u8::MAX;

impl Stored {
    /// Nobody knows this message yet.
    pub(crate) const NOTHING: Self = Self { index: 0, session: 0, slot: 0, kind: UNKNOWN };

    pub(crate) fn new(tag: Tag, origin: Origin) -> Self {
        let (session, kind) = match origin {
            Origin::Session(session) => (session, 0),
            Origin::Rest => (0, 1),
            Origin::Unclear => (0, 2),
        };
        Self { index: tag.index, session, slot: tag.slot, kind: tag.variant << 2 | kind }
    }

    pub(crate) fn tag(self) -> Option<Tag> {
        (self.kind != UNKNOWN).then_some(Tag { slot: self.slot, index: self.index, variant: self.kind >> 2 })
    }

    pub(crate) fn origin(self) -> Origin {
        match self.kind & 3 {
            0 => Origin::Session(self.session),
            1 => Origin::Rest,
            _ => Origin::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_eight_bytes() {
        assert_eq!(size_of::<Stored>(), 8);
        let tag = Tag { slot: 7, index: 123_456_789, variant: 3 };
        for origin in [Origin::Session(65_535), Origin::Rest, Origin::Unclear] {
            let stored = Stored::new(tag, origin);
            assert_eq!((stored.tag(), stored.origin()), (Some(tag), origin));
        }
        assert_eq!(Stored::NOTHING.tag(), None);
    }
}
