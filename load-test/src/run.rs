//! What all users of a run share.

use crate::{outbox::SendRules, stats::Stats};

/// What all users of a run share.
pub struct Run {
    /// Names the run in every match, user and message.
    pub name: String,
    /// The message body, as JSON.
    pub body: String,
    /// How users send.
    pub rules: SendRules,
    /// Whether users mark as read what they are given.
    pub reading: bool,
    /// What happens is counted here.
    pub stats: Stats,
}
