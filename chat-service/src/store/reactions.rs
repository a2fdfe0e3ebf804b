//! The reactions to a message, as its row holds them: a JSON object of emojis by user id, or null when there are none.

use std::collections::BTreeMap;

use proto::chat::Reaction;

/// What the row holds of these reactions.
pub(super) fn to_json(reactions: &[Reaction]) -> Option<String> {
    let by_user: BTreeMap<&str, &str> = reactions.iter().map(|of| (of.user_id.as_str(), of.emoji.as_str())).collect();
    (!by_user.is_empty()).then(|| serde_json::json!(by_user).to_string())
}

/// The reactions that a row holds, by user id.
pub(super) fn of_json(json: Option<&str>) -> Vec<Reaction> {
    let by_user: BTreeMap<String, String> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    by_user.into_iter().map(|(user_id, emoji)| Reaction { user_id, emoji }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_what_was_stored_and_nothing_for_none() {
        let reaction = |user: &str, emoji: &str| Reaction { user_id: user.into(), emoji: emoji.into() };
        let reactions = [reaction("alice", "👍"), reaction("bob", "❤️")];
        assert_eq!(of_json(to_json(&reactions).as_deref()), reactions);
        assert_eq!((to_json(&[]), of_json(None)), (None, vec![]));
    }
}
