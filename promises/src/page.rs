//! Pages of history: they have every message from the one that was asked for, up to where they say that they end.

use crate::{history::Event, tag::Tag};

/// Notes the messages of a page that begins after `since`, and every hole in it. Returns the last seq.
pub fn page(since: u32, messages: impl IntoIterator<Item = (u32, Option<Tag>)>, mut note: impl FnMut(Event)) -> u32 {
    messages.into_iter().fold(since, |last, (seq, tag)| {
        if seq != last.saturating_add(1) {
            note(Event::PageBroken { expected: last.saturating_add(1), found: seq });
        }
        note(Event::Paged { tag, seq });
        seq
    })
}

/// What is wrong with the end of a page: it has the messages from after `since` up to `last`, and more are to follow or
/// not. A page that ends before `head` without saying so would leave a hole; one without a message that promises more
/// has no end.
pub fn end_of_page(since: u32, last: u32, head: u32, has_more: bool) -> Option<Event> {
    let is_broken = if has_more { last == since } else { last < head };
    is_broken.then_some(Event::PageBroken { expected: last.saturating_add(1), found: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(since: u32, seqs: &[u32]) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        page(since, seqs.iter().map(|seq| (*seq, None)), |event| {
            if let Event::PageBroken { expected, found: at } = event {
                found.push((expected, at));
            }
        });
        found
    }

    #[test]
    fn a_page_without_holes_is_whole() {
        assert_eq!(broken(3, &[4, 5, 6]), []);
        assert_eq!(end_of_page(3, 6, 6, false), None);
        assert_eq!(end_of_page(3, 5, 6, true), None);
    }

    #[test]
    fn a_hole_and_a_repeat_in_a_page_are_found() {
        assert_eq!(broken(3, &[5]), [(4, 5)]);
        assert_eq!(broken(0, &[1, 1, 2]), [(2, 1)]);
    }

    #[test]
    fn a_page_that_ends_early_or_never_is_found() {
        assert!(end_of_page(3, 5, 6, false).is_some());
        assert!(end_of_page(3, 3, 6, true).is_some());
    }
}
