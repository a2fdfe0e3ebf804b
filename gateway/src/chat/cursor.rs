//! The cursor that ends each recoverable event: which chats a socket has open, and how far it has read. Pure.
//!
//! `1~<tag>~<matchId>:<seq>:<k>~…`: everything up to `seq` was delivered, is the socket's own, or was left to paging, and `k`
//! milestones were told. The client brings the last one back as `offset`, to any gateway.

use std::fmt::Write;

use proto::MatchId;

use super::session::MAX_JOINED;

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
pub(crate) fn write<'a>(tag: &str, positions: impl Iterator<Item = (&'a MatchId, i64, i64)>) -> String {
    let mut cursor = format!("1~{tag}");
    for (chat, seq, milestones) in positions {
        // Writing to a string cannot fail.
        let _ = write!(cursor, "~{chat}:{seq}:{milestones}");
    }
    cursor
}

/// What a client's `offset` says about the pid with `tag`. One that is malformed, or another pid's, says nothing.
pub fn read(offset: &str, tag: &str) -> Vec<Position> {
    let Some(positions) = offset.strip_prefix("1~").and_then(|rest| rest.strip_prefix(tag)) else { return Vec::new() };
    let Some(positions) = positions.strip_prefix('~') else { return Vec::new() };
    let positions: Option<Vec<_>> = positions.split('~').take(MAX_JOINED + 1).map(read_position).collect();
    let positions = positions.filter(|positions| positions.len() <= MAX_JOINED && are_distinct(positions));
    positions.unwrap_or_default()
}

fn read_position(text: &str) -> Option<Position> {
    let mut parts = text.split(':');
    let chat = MatchId::new(parts.next()?).ok()?;
    let (seq, milestones) = (read_count(parts.next()?)?, read_count(parts.next()?)?);
    parts.next().is_none().then_some(Position { chat, seq, milestones })
}

fn read_count(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
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
    fn the_cursor_of_another_pid_says_nothing() {
        let cursor = written(&[position("demo", 7, 0)]);
        assert_eq!(read(&cursor, "ABCDEFGH"), [position("demo", 7, 0)]);
        assert_eq!(read(&cursor, "abcdefgh"), []);
        assert_eq!(read(&cursor, "ABCDEFG"), []);
    }

    #[test]
    fn a_mangled_cursor_says_nothing() {
        for text in [
            "",
            "1",
            "1~",
            "1~T~",
            "2~T~m:1:0",
            "1~T~m",
            "1~T~m:1",
            "1~T~m:1:0:0",
            "1~T~m:-1:0",
            "1~T~m:+1:0",
            "1~T~m:x:0",
            "1~T~m:99999999999999999999:0",
            "1~T~m.*:1:0",
            "1~T~m:1:0~",
            "1~T~m:1:0~m:2:0",
            "1~T~:1:0",
            "1~Tm:1:0",
        ] {
            assert_eq!(read(text, "T"), [], "{text:?}");
        }
        let too_many: Vec<_> = (0..=MAX_JOINED).map(|number| position(&format!("m{number}"), 1, 0)).collect();
        assert_eq!(read(&written(&too_many), "ABCDEFGH"), []);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            positions in prop::collection::btree_map("[A-Za-z0-9_-]{1,64}", (0..i64::MAX, 0_i64..9), 0..=MAX_JOINED)
        ) {
            let positions: Vec<_> = positions.iter().map(|(chat, (seq, k))| position(chat, *seq, *k)).collect();
            prop_assert_eq!(read(&written(&positions), "ABCDEFGH"), positions);
        }

        #[test]
        fn no_text_is_too_strange_to_read(text in ".*") {
            read(&text, "T");
        }
    }
}
