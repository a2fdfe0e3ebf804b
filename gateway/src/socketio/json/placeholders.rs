//! Finds the placeholders of attachments, `{"_placeholder":true,"num":i}`, while JSON is scanned.

use std::borrow::Cow;

use super::Visitor;
use crate::socketio::limits::{MAX_ATTACHMENTS, MAX_JSON_DEPTH};

/// Checks that each placeholder names an attachment and none is named twice.
#[derive(Debug)]
pub(in crate::socketio) struct Placeholders {
    attachments: usize,
    seen: [bool; MAX_ATTACHMENTS],
    valid: bool,
    /// What is known of the objects around a place. Deeper ones are not delivered as arguments anyway.
    around: [Candidate; MAX_JSON_DEPTH + 1],
}

#[derive(Debug, Default, Clone, Copy)]
struct Candidate {
    is_placeholder: bool,
    num: Option<usize>,
}

impl Placeholders {
    /// A check for a packet with this number of attachments.
    pub(in crate::socketio) fn new(attachments: usize) -> Self {
        Self {
            attachments,
            seen: [false; MAX_ATTACHMENTS],
            valid: true,
            around: [Candidate::default(); MAX_JSON_DEPTH + 1],
        }
    }

    /// Whether all placeholders so far were valid.
    pub(in crate::socketio) fn are_valid(&self) -> bool {
        self.valid
    }
}

impl Visitor for Placeholders {
    fn begin_object(&mut self, depth: usize) {
        if let Some(candidate) = self.around.get_mut(depth) {
            *candidate = Candidate::default();
        }
    }

    fn member(&mut self, depth: usize, key: &str, value: Option<&str>) {
        let Some(candidate) = self.around.get_mut(depth) else { return };
        match &*unescaped(key) {
            r#""_placeholder""# => candidate.is_placeholder = value == Some("true"),
            r#""num""# => candidate.num = value.and_then(|num| num.parse().ok()),
            _ => {}
        }
    }

    fn end_object(&mut self, depth: usize) {
        let Some(candidate) = self.around.get(depth).copied() else { return };
        if !candidate.is_placeholder {
            return;
        }
        let seen = candidate.num.filter(|num| *num < self.attachments).and_then(|num| self.seen.get_mut(num));
        self.valid &= seen.is_some_and(|seen| !std::mem::replace(seen, true));
    }
}

/// The key, in its quotes, as clients decode it: `"\u006eum"` is `"num"`.
fn unescaped(key: &str) -> Cow<'_, str> {
    if !key.contains('\\') {
        return Cow::Borrowed(key);
    }
    // One that is no Unicode text is neither of the two.
    serde_json::from_str::<String>(key).map_or(Cow::Borrowed(key), |text| Cow::Owned(format!("\"{text}\"")))
}
