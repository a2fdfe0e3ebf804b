//! The cursor that ends each recoverable event: which chats a socket has open, and how far it has read. Pure.
//!
//! `1~<tag>~<matchId>:<seq>:<k>~…`: everything up to `seq` was delivered, is the socket's own, or was left to paging,
//! and `k` milestones were told. The client brings the last one back as `offset`, to any gateway.

use std::fmt::Write;

use proto::MatchId;

/// Most chats that one socket may have open.
pub const MAX_JOINED: usize = 16;

/// Room for the cursor of one open chat.
const USUAL_BYTES: usize = 96;

/// How far a socket has read in one chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The chat.
    pub chat: MatchId,
    /// The seq up to which it needs nothing more.
    pub seq: i64,
    /// How many milestones it was told.
    pub milestones: i64,
}

/// The cursor with the pid's `tag` over the chats that are open.
pub fn write<'a>(tag: &str, positions: impl Iterator<Item = (&'a MatchId, i64, i64)>) -> String {
    let mut cursor = String::with_capacity(USUAL_BYTES);
    // Writing to a string cannot fail.
    let _ = write!(cursor, "1~{tag}");
    for (chat, seq, milestones) in positions {
        let _ = write!(cursor, "~{chat}:{seq}:{milestones}");
    }
    cursor
}

/// What a client's `offset` says about the pid with `tag`; `None` unless it is, to the byte, a cursor that [`write()`]
/// gives for that pid.
///
/// A part that cannot be read makes all of it unreadable: the chat that it named would be neither recovered nor joined
/// again.
pub fn read(offset: &str, tag: &str) -> Option<Vec<Position>> {
    let positions = offset.strip_prefix("1~")?.strip_prefix(tag)?;
    if positions.is_empty() {
        return Some(Vec::new());
    }
    let positions = positions.strip_prefix('~')?.split('~').take(MAX_JOINED + 1).map(read_position);
    let positions: Vec<_> = positions.collect::<Option<_>>()?;
    (positions.len() <= MAX_JOINED && are_distinct(&positions)).then_some(positions)
}

fn read_position(text: &str) -> Option<Position> {
    let mut parts = text.split(':');
    let chat = MatchId::new(parts.next()?).ok()?;
    let (seq, milestones) = (read_count(parts.next()?)?, read_count(parts.next()?)?);
    parts.next().is_none().then_some(Position { chat, seq, milestones })
}

/// A number as it is written: without a sign, and without zeros before it.
fn read_count(text: &str) -> Option<i64> {
    let is_written = text == "0" || !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    is_written.then(|| text.parse().ok())?
}

fn are_distinct(positions: &[Position]) -> bool {
    (1..positions.len()).all(|index| positions[..index].iter().all(|other| other.chat != positions[index].chat))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(chat: &str, seq: i64, milestones: i64) -> Position {
        Position { chat: MatchId::new(chat).unwrap(), seq, milestones }
    }

    fn written(positions: &[Position]) -> String {
        write("ABCDEFGH", positions.iter().map(|position| (&position.chat, position.seq, position.milestones)))
    }

    #[test]
    fn the_cursor_on_the_wire_is_frozen() {
        assert_eq!(written(&[]), "1~ABCDEFGH");
        assert_eq!(written(&[position("demo", 7, 0), position("m-2", 100, 1)]), "1~ABCDEFGH~demo:7:0~m-2:100:1");
    }

    #[test]
    fn the_cursor_of_another_pid_cannot_be_read() {
        let cursor = written(&[position("demo", 7, 0)]);
        assert_eq!(read(&cursor, "ABCDEFGH"), Some(vec![position("demo", 7, 0)]));
        assert_eq!(read(&cursor, "abcdefgh"), None);
        assert_eq!(read(&cursor, "ABCDEFG"), None);
    }

    #[test]
    fn a_cursor_without_chats_is_read() {
        assert_eq!(read("1~ABCDEFGH", "ABCDEFGH"), Some(vec![]));
    }

    #[test]
    fn a_damaged_cursor_cannot_be_read_at_all() {
        for text in [
            "",
            "1",
            "1~",
            "1~T~",
            "2~T~m:1:0",
            "01~T~m:1:0",
            " 1~T~m:1:0",
            "1~T~m",
            "1~T~m:1",
            "1~T~m:1:",
            "1~T~m:1:0:0",
            "1~T~m:-1:0",
            "1~T~m:+1:0",
            "1~T~m:1:-1",
            "1~T~m:x:0",
            "1~T~m:01:0",
            "1~T~m:1:00",
            "1~T~m:1:0 ",
            "1~T~m:1:0\n",
            "1~T~m:1.0:0",
            "1~T~m:\u{661}:0",
            "1~T~m:9223372036854775808:0",
            "1~T~m:99999999999999999999:0",
            "1~T~m.*:1:0",
            "1~T~m:1:0~",
            "1~T~~m:1:0",
            "1~T~m:1:0~n:x:0",
            "1~T~n:x:0~m:1:0",
            "1~T~m:1:0~m:2:0",
            "1~T~:1:0",
            "1~Tm:1:0",
            "1~t~m:1:0",
        ] {
            assert_eq!(read(text, "T"), None, "{text:?}");
        }
        let too_many: Vec<_> = (0..=MAX_JOINED).map(|number| position(&format!("m{number}"), 1, 0)).collect();
        assert_eq!(read(&written(&too_many), "ABCDEFGH"), None);
    }

    /// What a cursor may hold.
    fn positions() -> impl Strategy<Value = Vec<Position>> {
        let chats = prop::collection::btree_map("[A-Za-z0-9_-]{1,64}", (0..i64::MAX, 0_i64..9), 0..=MAX_JOINED);
        chats.prop_map(|chats| chats.iter().map(|(chat, (seq, k))| position(chat, *seq, *k)).collect())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(positions in positions()) {
            prop_assert_eq!(read(&written(&positions), "ABCDEFGH"), Some(positions));
        }

        /// Whether the chats exist and have come so far is held against what chat-service says.
        #[test]
        fn whatever_character_changes_a_cursor_is_another_one_to_the_byte_or_none(
            positions in positions(),
            (at, character) in (any::<prop::sample::Index>(), any::<char>()),
        ) {
            let mut changed: Vec<char> = written(&positions).chars().collect();
            let at = at.index(changed.len());
            changed[at] = character;
            let changed: String = changed.into_iter().collect();
            if let Some(read) = read(&changed, "ABCDEFGH") {
                prop_assert!(at >= "1~ABCDEFGH".len() || read == positions);
                prop_assert_eq!(written(&read), changed);
            }
        }

        #[test]
        fn a_cursor_that_was_cut_short_or_has_something_behind_it_names_no_other_chats(
            positions in positions(),
            (at, tail) in (any::<prop::sample::Index>(), "[~:0-9a-z]{1,4}"),
        ) {
            let whole = written(&positions);
            let cut = &whole[..at.index(whole.len())];
            for text in [cut.to_owned(), format!("{whole}{tail}")] {
                if let Some(read) = read(&text, "ABCDEFGH") {
                    prop_assert_eq!(written(&read), text);
                }
            }
        }

        #[test]
        fn no_text_is_too_strange_to_read(text in ".*") {
            read(&text, "T");
        }
    }
}
