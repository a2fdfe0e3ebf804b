//! A server that wants its clients to leave: heard beside the one that takes its place, until that has all
//! subscriptions.

use std::time::{Duration, Instant};

use super::{link::Link, overlap::Overlap};

/// A server that is left is heard for this long after the next one has all subscriptions: until the cluster knows of
/// them. What was heard meanwhile is known for as long after that, since the next one may bring it later.
const OVERLAP: Duration = Duration::from_secs(1);

/// A server that is left, and what it brought.
pub(super) struct Leaving {
    /// Until it is left.
    pub(super) link: Option<Link>,
    pub(super) overlap: Overlap,
    /// When it is left; after that, when what it brought is forgotten.
    until: Option<Instant>,
}

impl Leaving {
    pub(super) fn new(link: Link) -> Self {
        Self { link: Some(link), overlap: Overlap::default(), until: None }
    }

    /// The next server has all subscriptions.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.until.get_or_insert(now + OVERLAP);
    }

    /// The server is left, or gone.
    pub(super) fn leave(&mut self, now: Instant) {
        self.link = None;
        self.until = Some(now + OVERLAP);
    }

    /// Does what is due; returns whether all is over.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let is_due = self.until.is_some_and(|until| until <= now);
        let is_over = is_due && self.link.is_none();
        if is_due {
            self.leave(now);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::duplex;

    use super::*;
    use crate::inboxes::{protocol::Info, stream::Opened};

    #[test]
    fn what_a_server_brought_is_known_for_a_while_after_it_was_left() {
        let opened = Opened { stream: Box::new(duplex(16).0), incoming: BytesMut::new(), info: Info::default() };
        let (mut leaving, start) = (Leaving::new(Link::new(opened)), Instant::now());
        assert!(!leaving.tick(start + 60 * OVERLAP), "the next one does not stand yet");
        leaving.succeeded(start);
        leaving.succeeded(start + OVERLAP);
        assert!(!leaving.tick(start + OVERLAP) && leaving.link.is_none());
        assert!(!leaving.tick(start + OVERLAP + OVERLAP / 2));
        assert!(leaving.tick(start + 2 * OVERLAP));
    }
}
