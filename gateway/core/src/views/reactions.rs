//! The reactions to a message.

use std::collections::BTreeMap;

use proto::chat::Reaction;
use serde::Serialize;

/// An object of the users, sorted, by emoji.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ReactionsView<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> ReactionsView<'a> {
    /// The view of reactions that are sorted by user.
    pub fn new(reactions: &'a [Reaction]) -> Self {
        let mut by_emoji: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Reaction { user_id, emoji } in reactions {
            by_emoji.entry(emoji).or_default().push(user_id);
        }
        Self(by_emoji)
    }

    /// Whether nobody has reacted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
