//! The cursor that ends each recoverable event: what a socket was given so far. Pure.
//!
//! `2~<tag>~<epoch>~<matchId>:<seq>:<rev>~…~!<callId>:<version>`: in a database of that epoch, in each open chat every
//! message up to `seq` and every change up to `rev` was delivered, is the socket's own, or was left to paging; of the
//! last call that it heard of it knows the steps up to `version`. The client brings the last one back as `offset`, to
//! any gateway.

use std::fmt::Write;

use proto::{MatchId, ids::CallId};

use crate::epoch::Epoch;

/// Most chats that one socket may have open.
pub const MAX_JOINED: usize = 16;

/// Room for the cursor of one open chat.
const USUAL_BYTES: usize = 96;

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The database's, to which the positions belong.
    pub epoch: Epoch,
    /// The open chats.
    pub chats: Vec<Position>,
    /// The last call that the socket heard of.
    pub call: Option<CallPosition>,
}

/// How far a socket has come in one chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The chat.
    pub chat: MatchId,
    /// The seq up to which it needs nothing more.
    pub seq: i64,
    /// The rev up to which it needs nothing more.
    pub rev: i64,
}

/// How much a socket knows of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPosition {
    /// The call.
    pub id: CallId,
    /// The version of the last step that it was told; 0 if it only asked.
    pub version: i64,
}

/// What a cursor says besides the open chats.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The pid's tag; empty for a socket that is not recovered, which has no cursor.
    pub tag: &'a str,
    /// The epoch of its positions.
    pub epoch: Epoch,
    /// The id of the last call, and the version of the last step that the socket was told of it.
    pub call: Option<(&'a str, i64)>,
}

/// The cursor over chats that are open, each with seq and rev.
pub fn write<'a>(line: Line<'_>, chats: impl Iterator<Item = (&'a MatchId, i64, i64)>) -> String {
    let mut cursor = String::with_capacity(USUAL_BYTES);
    // Writing to a string cannot fail.
    let _ = write!(cursor, "2~{}~{}", line.tag, line.epoch);
    for (chat, seq, rev) in chats {
        let _ = write!(cursor, "~{chat}:{seq}:{rev}");
    }
    if let Some((id, version)) = line.call {
        let _ = write!(cursor, "~!{id}:{version}");
    }
    cursor
}

/// What a client's `offset` says about the pid with `tag`; `None` unless it is, to the byte, a cursor that [`write()`]
/// gives for that pid.
///
/// A part that cannot be read makes all of it unreadable: the chat that it named would be neither recovered nor joined
/// again.
pub fn read(offset: &str, tag: &str) -> Option<Cursor> {
    let mut parts = offset.strip_prefix("2~")?.strip_prefix(tag)?.strip_prefix('~')?.split('~');
    let epoch = Epoch::read(parts.next()?)?;
    let (mut chats, mut call) = (Vec::new(), None);
    for part in parts.take(MAX_JOINED + 2) {
        if call.is_some() {
            return None;
        } else if let Some(part) = part.strip_prefix('!') {
            call = Some(read_call(part)?);
        } else {
            chats.push(read_position(part)?);
        }
    }
    (chats.len() <= MAX_JOINED && are_distinct(&chats)).then_some(Cursor { epoch, chats, call })
}

fn read_position(text: &str) -> Option<Position> {
    let mut parts = text.split(':');
    let chat = MatchId::new(parts.next()?).ok()?;
    let (seq, rev) = (read_count(parts.next()?)?, read_count(parts.next()?)?);
    parts.next().is_none().then_some(Position { chat, seq, rev })
}

fn read_call(text: &str) -> Option<CallPosition> {
    let (id, version) = text.split_once(':')?;
    Some(CallPosition { id: CallId::new(id).ok()?, version: read_count(version)? })
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

    const START: &str = "2~ABCDEFGH~0f3b9c2e";

    fn position(chat: &str, seq: i64, rev: i64) -> Position {
        Position { chat: MatchId::new(chat).unwrap(), seq, rev }
    }

    fn call(id: &str, version: i64) -> CallPosition {
        CallPosition { id: CallId::new(id).unwrap(), version }
    }

    fn cursor(chats: Vec<Position>, call: Option<CallPosition>) -> Cursor {
        Cursor { epoch: Epoch::read("0f3b9c2e").unwrap(), chats, call }
    }

    fn written(Cursor { epoch, chats, call }: &Cursor) -> String {
        let call = call.as_ref().map(|call| (call.id.as_str(), call.version));
        let line = Line { tag: "ABCDEFGH", epoch: *epoch, call };
        write(line, chats.iter().map(|position| (&position.chat, position.seq, position.rev)))
    }

    #[test]
    fn the_cursor_on_the_wire_is_frozen() {
        let chats = vec![position("demo", 7, 0), position("m-2", 100, 1)];
        for (cursor, on_the_wire) in [
            (cursor(vec![], None), "2~ABCDEFGH~0f3b9c2e"),
            (cursor(chats.clone(), None), "2~ABCDEFGH~0f3b9c2e~demo:7:0~m-2:100:1"),
            (cursor(chats, Some(call("c-1", 3))), "2~ABCDEFGH~0f3b9c2e~demo:7:0~m-2:100:1~!c-1:3"),
            (cursor(vec![], Some(call("c-1", 3))), "2~ABCDEFGH~0f3b9c2e~!c-1:3"),
        ] {
            assert_eq!(written(&cursor), on_the_wire);
            assert_eq!(read(on_the_wire, "ABCDEFGH"), Some(cursor));
        }
    }

    #[test]
    fn the_cursor_of_another_pid_cannot_be_read() {
        let cursor = written(&cursor(vec![position("demo", 7, 0)], None));
        assert!(read(&cursor, "ABCDEFGH").is_some());
        assert_eq!(read(&cursor, "abcdefgh"), None);
        assert_eq!(read(&cursor, "ABCDEFG"), None);
    }

    #[test]
    fn a_damaged_cursor_cannot_be_read_at_all() {
        for text in [
            "",
            "2",
            "2~",
            "2~T",
            "2~T~",
            "1~T~m:1:0",
            "1~T~e~m:1:0",
            "3~T~e~m:1:0",
            "02~T~e~m:1:0",
            " 2~T~e~m:1:0",
            "2~T~123456789~m:1:0",
            "2~T~~m:1:0",
            "2~T~m:1:0",
            "2~T~e~",
            "2~T~e~m",
            "2~T~e~m:1",
            "2~T~e~m:1:",
            "2~T~e~m:1:0:0",
            "2~T~e~m:-1:0",
            "2~T~e~m:+1:0",
            "2~T~e~m:1:-1",
            "2~T~e~m:x:0",
            "2~T~e~m:01:0",
            "2~T~e~m:1:00",
            "2~T~e~m:1:0 ",
            "2~T~e~m:1:0\n",
            "2~T~e~m:1.0:0",
            "2~T~e~m:\u{661}:0",
            "2~T~e~m:9223372036854775808:0",
            "2~T~e~m:99999999999999999999:0",
            "2~T~e~m.*:1:0",
            "2~T~e~m:1:0~",
            "2~T~e~~m:1:0",
            "2~T~e~m:1:0~n:x:0",
            "2~T~e~n:x:0~m:1:0",
            "2~T~e~m:1:0~m:2:0",
            "2~T~e~:1:0",
            "2~Te~m:1:0",
            "2~t~e~m:1:0",
            "2~T~e~!",
            "2~T~e~!c",
            "2~T~e~!c:",
            "2~T~e~!c:-1",
            "2~T~e~!c:01",
            "2~T~e~!c:1:1",
            "2~T~e~!c.*:1",
            "2~T~e~!:1",
            "2~T~e~!c:1~",
            "2~T~e~!c:1~m:1:0",
            "2~T~e~!c:1~!d:1",
            "2~T~e~!!c:1",
        ] {
            assert_eq!(read(text, "T"), None, "{text:?}");
        }
        let too_many: Vec<_> = (0..=MAX_JOINED).map(|number| position(&format!("m{number}"), 1, 0)).collect();
        assert_eq!(read(&written(&cursor(too_many.clone(), None)), "ABCDEFGH"), None);
        let most = cursor(too_many[1..].to_vec(), Some(call("c", 1)));
        assert_eq!(read(&written(&most), "ABCDEFGH"), Some(most));
        assert_eq!(read(&written(&cursor(too_many, Some(call("c", 1)))), "ABCDEFGH"), None);
    }

    /// What a cursor may hold.
    fn cursors() -> impl Strategy<Value = Cursor> {
        let chats = prop::collection::btree_map("[A-Za-z0-9_-]{1,64}", (0..i64::MAX, 0_i64..9), 0..=MAX_JOINED);
        let calls = prop::option::of(("[A-Za-z0-9_-]{1,64}", 0..i64::MAX));
        (chats, calls).prop_map(|(chats, of)| {
            let chats = chats.iter().map(|(chat, (seq, rev))| position(chat, *seq, *rev)).collect();
            cursor(chats, of.map(|(id, version)| call(&id, version)))
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(cursor in cursors()) {
            prop_assert_eq!(read(&written(&cursor), "ABCDEFGH"), Some(cursor));
        }

        /// Whether the chats exist and have come so far is held against what chat-service says.
        #[test]
        fn whatever_character_changes_a_cursor_is_another_one_to_the_byte_or_none(
            cursor in cursors(),
            (at, character) in (any::<prop::sample::Index>(), any::<char>()),
        ) {
            let mut changed: Vec<char> = written(&cursor).chars().collect();
            let at = at.index(changed.len());
            changed[at] = character;
            let changed: String = changed.into_iter().collect();
            if let Some(read) = read(&changed, "ABCDEFGH") {
                prop_assert!(at >= "2~ABCDEFGH".len() || read == cursor);
                prop_assert_eq!(written(&read), changed);
            }
        }

        #[test]
        fn a_cursor_that_was_cut_short_or_has_something_behind_it_says_nothing_else(
            cursor in cursors(),
            (at, tail) in (any::<prop::sample::Index>(), "[~:!0-9a-z]{1,4}"),
        ) {
            let whole = written(&cursor);
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
            read(&format!("{START}{text}"), "ABCDEFGH");
        }
    }
}
