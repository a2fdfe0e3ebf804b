use proto::chat::Message;

use super::*;
use crate::{
    audience::Audience,
    news::Entry,
    room::{Additions, Head},
};

const MINUTE_MS: i64 = 60_000;
const NOW_MS: i64 = 100 * MINUTE_MS;
const WINDOWS: Windows = Windows { edit: Duration::from_mins(15), unsend: Duration::from_hours(1) };

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// The room of alice and bob with two messages of alice, of which the first is this old.
fn room(age_ms: i64, closed: bool) -> Room {
    let head = Head { last_seq: 7, rev: 4, closed, now_ms: NOW_MS, members_rev: 0 };
    let mut room = Room::new(MatchId::new("m").unwrap(), head, Audience::new(vec![user("alice"), user("bob")], 0));
    for (seq, age_ms) in [(1, age_ms), (2, 0)] {
        let message = Message {
            match_id: "m".into(),
            seq,
            sender_id: "alice".into(),
            client_id: seq.to_string(),
            body: "\"sent\"".into(),
            created_at_ms: NOW_MS - age_ms,
            ..Message::default()
        };
        room.remember(Row::new(message, false));
    }
    room
}

fn command(actor: &str, seq: i64, client_id: Option<&str>, change: MessageChange) -> ChangeMessage {
    let client_id = client_id.map(|id| ClientId::new(id).unwrap());
    ChangeMessage { match_id: MatchId::new("m").unwrap(), actor: user(actor), seq, client_id, change, windows: WINDOWS }
}

fn edit(body: &str) -> MessageChange {
    MessageChange::Edit(format!("\"{body}\""))
}

fn react(emoji: &str, on: bool) -> MessageChange {
    MessageChange::React(emoji.to_owned(), on)
}

/// The rev, and whether the command has made it.
fn decide(command: &ChangeMessage, room: &mut Room) -> Result<(i64, bool), Refusal> {
    command.decide(room).into_change().map(|changed| (changed.change.rev, changed.is_new))
}

fn row(room: &Room) -> &Row {
    room.message_at(1).unwrap()
}

#[test]
fn an_edit_leaves_what_was_sent_to_repeats_and_to_reports() {
    let mut room = room(MINUTE_MS, false);
    assert_eq!(decide(&command("alice", 1, None, edit("once")), &mut room), Ok((5, true)));
    assert_eq!(decide(&command("alice", 1, None, edit("twice")), &mut room), Ok((6, true)));
    assert_eq!(row(&room).message.body, "\"twice\"");
    assert_eq!((row(&room).message.edited_at_ms, row(&room).edits), (Some(NOW_MS), 2));
    assert_eq!(row(&room).original, Some(digest(&["\"sent\""])));
    let (Additions { updates, versions, changes, .. }, _) = room.into_additions();
    assert_eq!(updates.keys().collect::<Vec<_>>(), [&1]);
    let versions: Vec<_> = versions.iter().map(|version| (version.rev, version.body.as_str())).collect();
    assert_eq!(versions, [(5, "\"sent\""), (6, "\"once\"")]);
    assert_eq!(changes.len(), 2);
}

#[test]
fn a_deleted_message_keeps_its_place_and_nothing_else() {
    let mut room = room(MINUTE_MS, false);
    decide(&command("bob", 1, None, react("👍", true)), &mut room).unwrap();
    decide(&command("alice", 1, None, edit("once")), &mut room).unwrap();
    assert_eq!(decide(&command("alice", 1, None, MessageChange::Delete), &mut room), Ok((7, true)));
    let message = &row(&room).message;
    assert_eq!((message.body.as_str(), message.deleted, message.edited_at_ms), ("", true, None));
    assert_eq!(message.reactions, []);
    // Again is no change, and everything else is too late.
    assert_eq!(decide(&command("alice", 1, None, MessageChange::Delete), &mut room), Ok((7, false)));
    for change in [edit("back"), react("👍", true), react("👍", false)] {
        let refused = decide(&command("alice", 1, None, change), &mut room);
        assert_eq!(refused, Err(Refusal::MayNot(Code::MessageDeleted)));
    }
}

#[test]
fn a_user_has_one_reaction_and_takes_back_only_that() {
    let mut room = room(MINUTE_MS, true);
    let closed = decide(&command("bob", 1, None, react("👍", true)), &mut room);
    assert_eq!(closed, Err(Refusal::MayNot(Code::MatchClosed)));
    let mut room = self::room(MINUTE_MS, false);
    for (actor, emoji, on, is_new) in [
        ("bob", "👍", true, true),
        ("bob", "👍", true, false),
        ("alice", "👍", true, true),
        ("bob", "🎉", true, true),
        ("bob", "👍", false, false),
    ] {
        let changed = decide(&command(actor, 1, None, react(emoji, on)), &mut room);
        assert_eq!(changed.map(|(_, is_new)| is_new), Ok(is_new), "{actor} {emoji}");
    }
    let reactions: Vec<_> = row(&room).message.reactions.iter().map(|of| (&*of.user_id, &*of.emoji)).collect();
    assert_eq!(reactions, [("alice", "👍"), ("bob", "🎉")]);
}

#[test]
fn a_late_repeat_is_answered_as_before_and_undoes_nothing() {
    let mut room = room(MINUTE_MS, false);
    let (first, second) = (command("alice", 1, Some("a"), edit("once")), command("alice", 1, Some("b"), edit("twice")));
    assert_eq!(decide(&first, &mut room), Ok((5, true)));
    assert_eq!(decide(&second, &mut room), Ok((6, true)));
    let off = command("bob", 1, Some("c"), react("👍", false));
    assert_eq!(decide(&off, &mut room), Ok((6, false)));
    assert_eq!(decide(&command("bob", 1, None, react("👍", true)), &mut room), Ok((7, true)));
    assert_eq!(decide(&command("alice", 1, None, MessageChange::Delete), &mut room), Ok((8, true)));
    // The repeats come after other changes, and after the message was deleted.
    assert_eq!(decide(&first, &mut room), Ok((5, false)));
    assert_eq!(decide(&off, &mut room), Ok((6, false)));
    assert!(row(&room).message.deleted);
    let other = command("alice", 1, Some("a"), edit("other"));
    assert_eq!(decide(&other, &mut room), Err(Refusal::MayNot(Code::IdempotencyConflict)));
    // The members hear again of what a command had changed, as the message is now.
    let (Additions { repeated, .. }, _) = room.into_additions();
    let [Entry::Change(told)] = &repeated[..] else { panic!("{repeated:?}") };
    let edited = Edited { seq: 1, actor: "alice".into(), body: String::new() };
    assert_eq!((told.change.rev, &told.change.kind), (5, &Some(Kind::Edited(edited))));
}

#[test]
fn who_may_not_is_told_why() {
    let late = 15 * MINUTE_MS;
    let delete = || MessageChange::Delete;
    for (actor, seq, change, age_ms, closed, code) in [
        ("mallory", 1, react("👍", true), 0, false, Code::MatchNotFound),
        ("alice", 9, edit("x"), 0, false, Code::MessageNotFound),
        ("alice", -1, delete(), 0, false, Code::MessageNotFound),
        ("bob", 1, edit("x"), 0, false, Code::Forbidden),
        ("bob", 1, delete(), 0, false, Code::Forbidden),
        ("alice", 1, edit("x"), late, false, Code::WindowPassed),
        ("alice", 1, delete(), 4 * late, false, Code::WindowPassed),
        ("alice", 1, edit("x"), late - 1, true, Code::MatchClosed),
        ("alice", 1, delete(), 4 * late - 1, true, Code::MatchClosed),
    ] {
        let mut room = room(age_ms, closed);
        let refused = decide(&command(actor, seq, Some("c"), change.clone()), &mut room);
        assert_eq!(refused, Err(Refusal::MayNot(code)), "{actor} {seq} {change:?}");
        let (additions, moved) = room.into_additions();
        assert_eq!((additions, moved), (Additions::default(), None));
    }
}

#[test]
fn a_message_is_edited_at_most_20_times() {
    let mut room = room(0, false);
    for number in 0..20 {
        assert!(decide(&command("alice", 1, None, edit(&number.to_string())), &mut room).is_ok());
    }
    let refused = decide(&command("alice", 1, None, edit("x")), &mut room);
    assert_eq!(refused, Err(Refusal::MayNot(Code::WindowPassed)));
    assert!(decide(&command("alice", 1, None, edit("19")), &mut room).is_ok());
}

#[test]
fn windows_of_no_time_turn_it_off() {
    let windows = Windows { edit: Duration::ZERO, unsend: Duration::ZERO };
    for change in [edit("x"), MessageChange::Delete] {
        let command = ChangeMessage { windows, ..command("alice", 2, None, change) };
        assert_eq!(decide(&command, &mut room(0, false)), Err(Refusal::MayNot(Code::WindowPassed)));
    }
}
