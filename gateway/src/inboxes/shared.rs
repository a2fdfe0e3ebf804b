//! What all connections of the inboxes have in common.

use std::sync::Arc;

use proto::{partition::fnv1a, subjects::Subjects};
use tokio::sync::watch;

use super::{interest::Interest, requests::Requests};

/// Which subscriptions and requests each of them has.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) subjects: Subjects,
    /// One per connection.
    pub(super) interests: Vec<Arc<Interest>>,
    pub(super) requests: Vec<Arc<Requests>>,
    pub(super) disturbances: watch::Sender<u64>,
}

impl Shared {
    /// The connection that a user belongs to.
    pub(super) fn connection_of(&self, user: &str) -> usize {
        let count = self.interests.len() as u64;
        usize::try_from(fnv1a(user.as_bytes()) % count).unwrap_or_default()
    }
}
