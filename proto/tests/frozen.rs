//! What services of two versions say to each other while a rolling update goes on: the bytes of every event of an
//! inbox, of sends, and of what the stream keeps. A change that breaks one of these breaks such an update.

#![allow(clippy::unwrap_used)]

use std::fmt::Debug;

use prost::Message;
use proto::{
    chat::{
        Change, Code, Deleted, Draft, Edited, Failure, Head, Membership, Message as Stored, MessagesCommitted,
        Milestone, Reacted, Reaction, SendReply, SendRequest, SendResult, Stored as Acked, change::Kind,
        send_result::Result as Outcome,
    },
    inbox::{
        CallChanged, CallEvent, ChatEvent, InboxEvent, MatchChanged, MatchClosed, MessageHidden, MessagesPosted,
        MilestoneReached, PresenceAnnounced, PresenceAnswer, PresenceAsked, ReceiptUpdated, ReceiptsUpdated,
        SharingChanged, SocketReplaced, SoftEvent, TypingChanged, call_changed,
        call_changed::{Accepted, Change as CallStep, Ended, Incoming, Rejected, Signaled},
        call_event, chat_event, inbox_event,
        presence_announced::What,
        soft_event,
    },
};

/// Field 1,000, a text: what a later version may add.
const LATER: &str = "c23e056c61746572";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Holds that a value is written as these bytes, and read from them, also with more behind them.
fn frozen<T: Message + Default + PartialEq + Debug>(value: &T, hex: &str) {
    assert_eq!(value.encode_to_vec(), bytes(hex), "{value:?}");
    assert_eq!(T::decode(&bytes(hex)[..]).unwrap(), *value);
    assert_eq!(T::decode(&[bytes(hex), bytes(LATER)].concat()[..]).unwrap(), *value);
}

/// The same of an event of an inbox, which gateways read as an event of any kind.
fn frozen_event<T: Message + Default + PartialEq + Debug>(event: &T, read: inbox_event::Event, hex: &str) {
    frozen(event, hex);
    frozen(&InboxEvent { event: Some(read) }, hex);
}

#[test]
fn what_is_stored_is_told_in_these_bytes() {
    let message = Stored {
        match_id: "m".into(),
        seq: 7,
        sender_id: "alice".into(),
        client_id: "c".into(),
        origin: Some(9),
        body: "\"hi\"".into(),
        created_at_ms: 1_000,
        ..Stored::default()
    };
    let posted = MessagesPosted { messages: vec![message] };
    let event = ChatEvent { event: Some(chat_event::Event::MessagesPosted(posted.clone())) };
    let hex = "0a230a210a016d10071a05616c69636522016329090000000000000032042268692238e807";
    frozen_event(&event, inbox_event::Event::MessagesPosted(posted), hex);

    let milestone = Milestone {
        milestone_id: "first".into(),
        rev: 2,
        threshold: 100,
        unlocks: vec!["video_call".into()],
        reached_at_ms: 1_000,
        after_seq: 101,
    };
    let reached = MilestoneReached { match_id: "m".into(), milestone: Some(milestone) };
    let event = ChatEvent { event: Some(chat_event::Event::MilestoneReached(reached.clone())) };
    let hex = "1a210a016d121c0a05666972737410021864220a766964656f5f63616c6c28e8073065";
    frozen_event(&event, inbox_event::Event::MilestoneReached(reached), hex);

    let closed = MatchClosed { match_id: "m".into(), rev: 3, after_seq: 101 };
    let event = ChatEvent { event: Some(chat_event::Event::MatchClosed(closed.clone())) };
    frozen_event(&event, inbox_event::Event::MatchClosed(closed), "22070a016d10031865");

    let kind = Kind::Membership(Membership {
        added: vec!["carol".into()],
        removed: vec!["bob".into()],
        actor: Some("alice".into()),
        ..Membership::default()
    });
    let change = Change { rev: 4, after_seq: 101, created_at_ms: 1_000, kind: Some(kind) };
    let changed = MatchChanged { match_id: "m".into(), change: Some(change) };
    let event = ChatEvent { event: Some(chat_event::Event::MatchChanged(changed.clone())) };
    frozen_event(
        &event,
        inbox_event::Event::MatchChanged(changed),
        "3a210a016d121c0804106518e80732130a056361726f6c1203626f621a05616c696365",
    );
}

#[test]
fn what_becomes_of_messages_is_told_in_these_bytes() {
    let reactions = vec![Reaction { user_id: "bob".into(), emoji: "👍".into() }];
    let message = Stored {
        match_id: "m".into(),
        seq: 7,
        reply_to: Some(3),
        edited_at_ms: Some(1_000),
        deleted: true,
        reactions: reactions.clone(),
        ..Stored::default()
    };
    frozen(&message, "0a016d1007400348e80750015a0b0a03626f621204f09f918d");

    for (kind, hex) in [
        (
            Kind::Edited(Edited { seq: 7, actor: "alice".into(), body: "\"x\"".into() }),
            "0805100918e8073a0e08071205616c6963651a03227822",
        ),
        (Kind::Deleted(Deleted { seq: 7, actor: "alice".into() }), "0805100918e807420908071205616c696365"),
        (
            Kind::Reacted(Reacted { seq: 7, actor: "bob".into(), reactions }),
            "0805100918e8074a1408071203626f621a0b0a03626f621204f09f918d",
        ),
    ] {
        frozen(&Change { rev: 5, after_seq: 9, created_at_ms: 1_000, kind: Some(kind) }, hex);
    }

    let hidden = MessageHidden { match_id: "m".into(), seq: 7 };
    let event = ChatEvent { event: Some(chat_event::Event::MessageHidden(hidden.clone())) };
    frozen_event(&event, inbox_event::Event::MessageHidden(hidden), "42050a016d1007");

    let receipt = ReceiptUpdated { match_id: "m".into(), user_id: "bob".into(), ..ReceiptUpdated::default() };
    let several = ReceiptsUpdated { updated: vec![receipt] };
    let event = ChatEvent { event: Some(chat_event::Event::ReceiptsUpdated(several.clone())) };
    frozen_event(&event, inbox_event::Event::ReceiptsUpdated(several), "b2010a0a080a016d1203626f62");
}

#[test]
fn what_gateways_tell_each_other_is_told_in_these_bytes() {
    let typing = TypingChanged { match_id: "m".into(), user_id: "alice".into(), is_typing: true };
    let event = SoftEvent { event: Some(soft_event::Event::TypingChanged(typing.clone())) };
    frozen_event(&event, inbox_event::Event::TypingChanged(typing), "120c0a016d1205616c6963651801");

    let replaced = SocketReplaced { pid: "p".into(), connected_at_ms: 1_000, connection: 9 };
    let event = SoftEvent { event: Some(soft_event::Event::SocketReplaced(replaced.clone())) };
    frozen_event(&event, inbox_event::Event::SocketReplaced(replaced), "320f0a017010e807190900000000000000");
}

#[test]
fn presence_is_told_in_these_bytes() {
    let event = ChatEvent { event: Some(chat_event::Event::SharingChanged(SharingChanged {})) };
    frozen_event(&event, inbox_event::Event::SharingChanged(SharingChanged {}), "a20100");
    let event = SoftEvent { event: Some(soft_event::Event::PresenceAsked(PresenceAsked {})) };
    frozen_event(&event, inbox_event::Event::PresenceAsked(PresenceAsked {}), "aa0100");
    frozen(&PresenceAnswer { is_active: true }, "0801");
    for (what, hex) in [(What::Came, "0801"), (What::Went, "0802"), (What::SharingChanged, "0803")] {
        frozen(&PresenceAnnounced { what: what.into() }, hex);
    }
}

/// A step of a call that only one device is told.
fn step(version: i64, change: call_changed::Change) -> CallChanged {
    CallChanged {
        call_id: "c".into(),
        match_id: "m".into(),
        version,
        change: Some(change),
        only_device: Some("d".into()),
        except_device: None,
    }
}

#[test]
fn steps_of_calls_are_told_in_these_bytes() {
    let json = || Some("{}".to_owned());
    let incoming = Incoming { caller: "alice".into(), media: json(), expires_at_ms: 1_000 };
    let incoming = CallChanged { only_device: None, ..step(1, CallStep::Incoming(incoming)) };
    let accepted = step(2, CallStep::Accepted(Accepted { signal: json() }));
    let rejected = step(2, CallStep::Rejected(Rejected { signal: json(), reason: Some("busy".into()) }));
    let ended = step(3, CallStep::Ended(Ended { signal: json(), reason: "completed".into() }));
    let ended = CallChanged { only_device: None, except_device: Some("d".into()), ..ended };
    let signaled = step(4, CallStep::Signaled(Signaled { payload: "{}".into() }));
    for (changed, hex) in [
        (incoming, "2a180a016312016d1801220e0a05616c69636512027b7d18e807"),
        (accepted, "2a110a016312016d18022a040a027b7d4a0164"),
        (rejected, "2a170a016312016d1802320a0a027b7d1204627573794a0164"),
        (ended, "2a1c0a016312016d18033a0f0a027b7d1209636f6d706c65746564520164"),
        (signaled, "2a110a016312016d180442040a027b7d4a0164"),
    ] {
        let event = CallEvent { event: Some(call_event::Event::CallChanged(changed.clone())) };
        frozen_event(&event, inbox_event::Event::CallChanged(changed), hex);
    }
}

#[test]
fn sends_and_their_answers_are_these_bytes() {
    let draft = Draft { client_id: "c".into(), body: "\"hi\"".into(), saved_as: Some("m:1".into()), reply_to: None };
    let request = SendRequest {
        match_id: "m".into(),
        sender_id: "alice".into(),
        origin: Some(9),
        by_rest: true,
        drafts: vec![draft],
        deadline_ms: 1_000,
    };
    frozen(&Draft { reply_to: Some(3), ..Draft::default() }, "2003");
    frozen(&request, "0a016d1205616c69636519090000000000000020012a0e0a01631204226869221a036d3a3130e807");

    let acked = Acked { seq: 7, created_at_ms: 1_000, duplicate: true, client_id: "c".into() };
    let failure = Failure { code: Code::RateLimited.into(), retry_after_ms: Some(50), of_sender: true };
    let results = [Outcome::Stored(acked), Outcome::Failure(failure)].map(|result| SendResult { result: Some(result) });
    frozen(&SendReply { results: results.to_vec() }, "0a0c0a0a080710e80718012201630a081206080410321801");
}

#[test]
fn what_the_stream_keeps_is_these_bytes() {
    let heads = vec![Head { match_id: "m".into(), last_seq: 7 }];
    frozen(&MessagesCommitted { heads, watermark_ms: 1_000 }, "0a050a016d100710e807");
}
