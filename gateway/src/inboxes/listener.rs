//! Who hears what comes.

use std::time::Instant;

use proto::UserId;

use super::protocol::Message;

/// Hears what the inboxes of one connection receive, in order, called by the connection's task: it must not block.
pub trait Listener: Send + 'static {
    /// A message to a user's inbox, or of a user's presence.
    fn hear(&mut self, message: &Message<'_>);

    /// Called a few times a second.
    fn tick(&mut self, now: Instant);

    /// Names each user whose inbox is to be subscribed, with the number of its subscription.
    fn each(&self, subscribe: &mut dyn FnMut(&UserId, u64));

    /// The same of each user of whose presence it is to be heard.
    fn each_watched(&self, _: &mut dyn FnMut(&UserId, u64)) {}
}
