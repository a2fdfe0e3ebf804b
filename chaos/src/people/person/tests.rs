//! A person against a gateway that is played by hand.

use promises::{APP_SERVER, Route, Tag};
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::{
    body::{body, client_id},
    crowd::roster,
};

struct Stage {
    person: Person,
    chat: String,
    phase: watch::Sender<Phase>,
}

impl Stage {
    /// The fourth client of a town: it has one match, on one device.
    fn new() -> Self {
        let (phase, changes) = watch::channel(Phase::Chatting);
        let world = Arc::new(World::new(Vec::new(), changes));
        let couple = roster::couples(8).swap_remove(1);
        // Not among those that begin near their milestone.
        let pairing = Arc::new(Pairing::new(&world, couple, 1));
        let chat = pairing.current().unwrap().id.clone();
        let identity =
            Identity { number: 4, user: world.user_id(3), token: "t".to_owned(), pairings: vec![(pairing, 1)] };
        Self { person: Person::new(&world, identity), chat, phase }
    }

    /// Connected with [`PID`].
    fn connected() -> Self {
        let mut stage = Self::new();
        stage.connect(PID);
        stage
    }

    /// Connected, with the chat open.
    fn joined() -> Self {
        let mut stage = Self::connected();
        stage.joins(0, 0);
        stage
    }

    fn connect(&mut self, pid: &str) {
        self.person.connected(&format!(r#"{{"sid":"s","pid":"{pid}"}}"#)).unwrap();
        self.person.advance().unwrap();
    }

    /// The one frame that the person has to write.
    #[track_caller]
    fn frame(&mut self) -> String {
        let frame = self.person.next_frame().expect("a frame");
        assert_eq!(self.person.next_frame(), None);
        frame
    }

    fn hears(&mut self, frame: &str) {
        self.person.handle(&frame.replace('M', &self.chat)).unwrap();
    }

    /// The answer to what was asked.
    fn is_answered(&mut self, asked: &str, ack: &str) {
        let id: String = asked[2..].chars().take_while(char::is_ascii_digit).collect();
        self.person.handle(&format!("43{id}[{ack}]")).unwrap();
    }

    /// Opens the chat: its head in the ack of the join, and as it is told then.
    fn joins(&mut self, in_ack: u32, told: u32) {
        let asked = self.frame();
        assert!(asked.contains("join_chat"), "{asked}");
        self.is_answered(&asked, &format!(r#"{{"ok":true,"lastSeq":{in_ack},"messages":[],"hasMore":false}}"#));
        self.hears(&format!(
            r#"42["chat_joined",{{"matchId":"M","lastSeq":{told},"milestones":[]}},"1~PPPPPPPP~M:{told}:0"]"#
        ));
    }

    fn violations(&self) -> u64 {
        self.person.world.progress().violations
    }

    fn violations_of(&self, promise: Promise) -> u64 {
        self.person.world.tally().of(promise).violations
    }

    fn writes(&mut self) -> String {
        let now = self.person.world.now();
        self.person.write(0, Manner::Emit, now);
        self.frame()
    }
}

const PID: &str = "PPPPPPPPxyz";

#[test]
fn a_recovered_connection_goes_on_without_another_join() {
    let mut stage = Stage::joined();
    stage.person.disconnected();
    let auth: Value = serde_json::from_str(&stage.person.auth()).unwrap();
    assert_eq!((&auth["pid"], &auth["offset"]), (&json!(PID), &json!(format!("1~PPPPPPPP~{}:0:0", stage.chat))));
    stage.connect(PID);
    assert_eq!(stage.person.next_frame(), None);
    assert_eq!(stage.person.seats[0].door, Door::Open);
}

#[test]
fn a_connection_that_is_not_recovered_joins_again_from_what_was_seen() {
    let mut stage = Stage::joined();
    let (tag, sender) = (Tag { slot: 0, index: 0, variant: 0 }, stage.person.world.user_id(2));
    let body = json!({ "matchId": stage.chat, "seq": 1, "senderId": sender, "clientId": client_id(tag),
        "message": body(tag) });
    stage.person.handle(&format!(r#"42["receive_message",{body},"1~PPPPPPPP~{}:1:0"]"#, stage.chat)).unwrap();
    stage.person.disconnected();
    stage.connect("QQQQQQQQxyz");
    assert!(stage.frame().contains(r#""sinceSeq":1"#));
    let violations = stage.violations();
    stage.person.disconnected();
    stage.connect("RRRRRRRRxyz");
    assert!(stage.frame().contains("join_chat"), "the cursor is of an earlier pid");
    assert_eq!(stage.violations(), violations, "nothing could be recovered");
}

#[test]
fn a_pid_that_is_kept_without_a_cursor_of_it_is_a_violation() {
    let mut stage = Stage::connected();
    stage.person.disconnected();
    stage.connect(PID);
    assert_eq!(stage.violations_of(Promise::Delivered), 1);
}

#[test]
fn a_join_that_is_told_with_another_head_than_it_was_acked_with_is_a_violation() {
    let mut stage = Stage::connected();
    stage.joins(3, 4);
    let tally = stage.person.world.tally();
    let [violation] = &tally.of(Promise::Delivered).kept[..] else { panic!("{tally:?}") };
    assert!(violation.what.contains("says 4") && violation.what.contains("Some(3)"), "{violation}");
}

#[test]
fn what_was_not_answered_is_sent_again_under_the_same_client_id() {
    let mut stage = Stage::joined();
    assert!(stage.writes().contains(r#""clientId":"1-0""#));
    stage.person.disconnected();
    stage.connect(PID);
    let again = stage.frame();
    assert!(again.contains(r#""clientId":"1-0""#), "{again}");
    stage.is_answered(&again, r#"{"ok":true,"seq":1,"duplicate":true}"#);
    assert_eq!(stage.person.seats[0].outbox.len(), 0);
    assert_eq!(stage.violations(), 0);
}

#[test]
fn a_closed_match_is_not_opened_again() {
    let mut stage = Stage::joined();
    stage.person.seats[0].room.note(&stage.person.world, APP_SERVER, Event::CloseAsked);
    // Else it would be tried once more.
    stage.phase.send(Phase::Settling).unwrap();
    stage.hears(r#"42["match_closed",{"matchId":"M"},"1~PPPPPPPP"]"#);
    stage.person.disconnected();
    stage.connect(PID);
    assert_eq!(stage.person.next_frame(), None);
    assert_eq!(stage.person.seats[0].door, Door::Closed);
    assert_eq!(stage.violations(), 0);
}

#[test]
fn a_pid_that_is_not_kept_is_a_violation() {
    let mut stage = Stage::joined();
    stage.person.disconnected();
    stage.connect("QQQQQQQQxyz");
    assert_eq!(stage.violations_of(Promise::Delivered), 1);
}

#[test]
fn a_second_answer_and_one_with_a_foreign_code_are_violations() {
    let mut stage = Stage::joined();
    let now = stage.person.world.now();
    stage.person.leave(0, Duration::MAX, now);
    let asked = stage.frame();
    for _ in 0..2 {
        stage.is_answered(&asked, r#"{"ok":false,"error":{"code":"MATCH_NOT_FOUND"}}"#);
    }
    assert_eq!(stage.violations_of(Promise::Answered), 2);
}

#[test]
fn an_answer_without_a_code_is_a_violation() {
    let mut stage = Stage::joined();
    let asked = stage.writes();
    stage.is_answered(&asked, r#"{"ok":false}"#);
    assert_eq!(stage.violations(), 1);
}

#[test]
fn a_chat_of_others_is_a_violation() {
    let mut stage = Stage::connected();
    stage.hears(r#"42["inbox_updated",{"matchId":"elsewhere","lastSeq":3,"senderId":"x"}]"#);
    assert_eq!(stage.violations_of(Promise::Secret), 1);
}

#[test]
fn a_match_that_was_left_behind_tells_its_milestone_to_each_connection_for_itself() {
    let mut stage = Stage::joined();
    let (room, slot) = (Arc::clone(&stage.person.seats[0].room), stage.person.seats[0].slot);
    for index in 0..100 {
        let tag = Tag { slot: 0, index, variant: 0 };
        room.note(&stage.person.world, 0, Event::Emitted { tag, route: Route::Rest });
    }
    room.note(&stage.person.world, slot, Event::Left);
    stage.person.seats.clear();
    stage.person.past.push_front((room, slot));
    for _ in 0..2 {
        stage.hears(r#"42["milestone_reached",{"matchId":"M","milestone":100,"messageCount":100}]"#);
        stage.person.disconnected();
        stage.connect(PID);
    }
    assert_eq!(stage.violations(), 0);
}
