//! Two links at once, while a server is left for another: what both bring is heard once. Pure.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::protocol::Message;

/// Most different messages that are compared; what comes beyond them may be heard twice.
const MAX_COMPARED: usize = 100_000;

/// Which of two links brought a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// To the server that is left.
    Leaving,
    /// To the one that takes its place.
    Current,
}

/// How often each message came over each link. A message that was published twice may be heard twice.
#[derive(Debug, Default)]
pub(super) struct Overlap(HashMap<u64, [u32; 2]>);

impl Overlap {
    /// Whether the other link has brought this message before.
    pub(super) fn is_repeat(&mut self, side: Side, message: &Message<'_>) -> bool {
        let mut hasher = DefaultHasher::new();
        (message.subject, message.payload).hash(&mut hasher);
        let key = hasher.finish();
        if self.0.len() >= MAX_COMPARED && !self.0.contains_key(&key) {
            return false;
        }
        let [leaving, current] = self.0.entry(key).or_default();
        let (own, other) = match side {
            Side::Leaving => (leaving, current),
            Side::Current => (current, leaving),
        };
        *own += 1;
        own <= other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inboxes::protocol::{Received, parse};

    fn is_repeat(overlap: &mut Overlap, side: Side, payload: u8) -> bool {
        let wire = format!("MSG user.alice.chat 1 3\r\n{payload:03}\r\n");
        let Ok(Some((Received::Message(message), _))) = parse(wire.as_bytes()) else { panic!("no message") };
        overlap.is_repeat(side, &message)
    }

    proptest! {
        /// However the two links are interleaved, and if the same is published more than once.
        #[test]
        fn what_both_links_bring_is_heard_as_often_as_it_was_published(
            published in prop::collection::vec(0_u8..4, 0..20),
            turns in prop::collection::vec(any::<bool>(), 0..40),
        ) {
            let mut overlap = Overlap::default();
            let mut sides = [(Side::Leaving, published.iter()), (Side::Current, published.iter())];
            let mut heard = Vec::new();
            let rest = [true, false].into_iter().flat_map(|turn| std::iter::repeat_n(turn, published.len()));
            for turn in turns.into_iter().chain(rest) {
                let (side, messages) = &mut sides[usize::from(turn)];
                if let Some(message) = messages.next() && !is_repeat(&mut overlap, *side, *message) {
                    heard.push(*message);
                }
            }
            let mut expected = published.clone();
            expected.sort_unstable();
            heard.sort_unstable();
            prop_assert_eq!(heard, expected);
        }
    }

    #[test]
    fn what_one_link_has_not_brought_is_heard_from_the_other() {
        let mut overlap = Overlap::default();
        assert!(!is_repeat(&mut overlap, Side::Leaving, 1));
        assert!(!is_repeat(&mut overlap, Side::Current, 2));
        assert!(is_repeat(&mut overlap, Side::Current, 1));
    }
}
