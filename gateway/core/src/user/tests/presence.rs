//! Who is shown as online, and what is shared of typing.

use proto::{
    chat::{self, LastSeen, Sharing},
    inbox::{MatchClosed, SharingChanged, TypingChanged},
};

use super::*;
use crate::{
    output::{Found, SharingFor},
    presence_changed::Interest,
};

fn alice() -> Alice {
    Alice { has_presence: true, ..Alice::new() }
}

fn bob() -> UserId {
    UserId::new("bob").unwrap()
}

/// What chat-service says of a chat with Bob, who was here lately.
fn sharing(id: &str, is_shown: bool) -> Sharing {
    let presence = chat::Presence { user_id: "bob".into(), last_seen: LastSeen::ThisWeek.into() };
    Sharing { match_id: id.into(), presence: is_shown.then_some(presence), ..Sharing::default() }
}

fn found(id: &str, online: bool) -> Found {
    Found { sharing: sharing(id, true), online: Some(online) }
}

impl Alice {
    /// The socket joins the chat `m`, of which chat-service says this.
    fn joins_with(&mut self, socket: SocketId, sharing: Sharing, online: Option<bool>) -> String {
        self.emits(socket, "join_chat", "\"m\"", 7);
        let turn = self.open_asked();
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        let of = Match { match_id: "m".into(), members, ..Match::default() };
        let response = GetMatchResponse { r#match: Some(of), sharing: Some(sharing), ..GetMatchResponse::default() };
        let snapshot = Snapshot { online, ..Snapshot::for_member(response, &self.id).unwrap() };
        self.out.clear();
        self.step(|core, step| core.answered(Answer::Opened(turn, Ok((snapshot, None))), step));
        self.acked(7)
    }

    /// What an ack shows of presence.
    fn acked(&self, ack: u64) -> String {
        let json = self.out.iter().find_map(|output| match output {
            Output::Ack(_, id, json) if *id == ack => Some(json),
            _ => None,
        });
        let value: serde_json::Value = serde_json::from_str(json.unwrap()).unwrap();
        value["presence"].to_string()
    }

    fn presence(&mut self, is_online: bool) -> Vec<String> {
        self.step(|core, step| core.presence(&bob(), is_online, step));
        self.events()
    }

    /// The events that came out, with their arguments.
    fn events(&mut self) -> Vec<String> {
        let emitted = std::mem::take(&mut self.out).into_iter().filter_map(|output| match output {
            Output::Emit(_, event) => Some(format!("{} {}", event.name, event.json())),
            _ => None,
        });
        emitted.collect()
    }

    /// Brings what was found to what was asked last.
    fn is_found(&mut self, found: Vec<Found>) {
        let asked = self.out.iter().rposition(|output| matches!(output, Output::Ask(Ask::Sharing(..))));
        let Output::Ask(Ask::Sharing(id, of, _)) = self.out.remove(asked.unwrap()) else { panic!() };
        self.step(|core, step| core.answered(Answer::Sharing(id, of, Ok(found)), step));
    }
}

const ONLINE: &str = r#"presence_changed {"matchId":"m","userId":"bob","online":true,"lastSeen":"now"}"#;
const AWAY: &str = r#"presence_changed {"matchId":"m","userId":"bob","online":false,"lastSeen":"today"}"#;

#[test]
fn a_joined_chat_is_watched_and_hears_what_differs() {
    let mut alice = alice();
    let socket = alice.connects(1);
    let shown = alice.joins_with(socket, sharing("m", true), Some(false));
    assert_eq!(shown, r#"{"lastSeen":"this_week","online":false}"#);
    assert_eq!(alice.put_out(), ["ack 7 0", "chat_joined 0", "watch bob Some(false)"]);
    assert_eq!(alice.presence(true), [ONLINE]);
    assert_eq!(alice.presence(true), [""; 0]);
    assert_eq!(alice.presence(false), [AWAY]);
    assert_eq!(alice.core.interest(&bob()), Interest::Shown);
    alice.emits(socket, "leave_chat", "\"m\"", 8);
    alice.out.clear();
    assert_eq!(alice.presence(true), [""; 0]);
    assert_eq!(alice.core.interest(&bob()), Interest::None);
}

#[test]
fn who_may_not_see_it_is_told_nothing_and_hears_of_it_once_that_changes() {
    let mut alice = alice();
    let socket = alice.connects(1);
    assert_eq!(alice.joins_with(socket, sharing("m", false), None), "null");
    assert_eq!(alice.put_out(), ["ack 7 0", "chat_joined 0", "watch bob None"]);
    assert_eq!(alice.presence(true), [""; 0]);
    assert_eq!(alice.core.interest(&bob()), Interest::Hidden);
    alice.step(|core, step| core.shared_otherwise(&bob(), step));
    alice.is_found(vec![found("m", true)]);
    assert_eq!(alice.events(), [ONLINE]);
    alice.hears(Inbox::SharingChanged(SharingChanged {}));
    alice.is_found(vec![Found { sharing: sharing("m", false), online: None }]);
    assert_eq!(alice.events(), [AWAY], "no more than that Bob is not online");
    assert_eq!(alice.presence(true), [""; 0]);
}

#[test]
fn a_set_replaces_the_one_before_and_a_chat_that_is_open_too_is_told_once() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins_with(socket, sharing("m", true), Some(false));
    alice.out.clear();
    alice.emits(socket, "watch_presence", r#"{"matchIds":["n","m","x"]}"#, 1);
    alice.is_found(vec![found("m", false), found("n", true)]);
    let away = r#"{"lastSeen":"this_week","online":false}"#;
    let here = r#"{"lastSeen":"now","online":true}"#;
    assert_eq!(alice.acked(1), format!(r#"{{"m":{away},"n":{here},"x":null}}"#));
    assert_eq!(alice.put_out(), ["ack 1", "watch bob Some(false)", "watch bob Some(true)"]);
    assert_eq!(alice.presence(true), [ONLINE]);
    assert_eq!(alice.presence(false), [AWAY, &AWAY.replace("\"m\"", "\"n\"")]);
    alice.emits(socket, "watch_presence", r#"{"matchIds":[]}"#, 2);
    alice.is_found(vec![]);
    assert_eq!(alice.acked(2), "{}");
    alice.out.clear();
    assert_eq!(alice.presence(true), [ONLINE]);
}

#[test]
fn of_a_closed_match_nothing_is_heard_any_more() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.emits(socket, "watch_presence", r#"{"matchIds":["m"]}"#, 1);
    alice.is_found(vec![found("m", true)]);
    alice.hears(Inbox::MatchClosed(MatchClosed { match_id: "m".into(), rev: 1, after_seq: 0 }));
    assert_eq!(alice.core.interest(&bob()), Interest::None);
    alice.out.clear();
    assert_eq!(alice.presence(false), [""; 0]);
}

#[test]
fn a_recovered_socket_is_told_once_who_is_online() {
    let mut alice = alice();
    alice.recovers(1, 5, 5);
    assert!(alice.out.iter().map(short).any(|output| output == "sharing of m"));
    alice.is_found(vec![found("m", true)]);
    assert!(alice.events().contains(&ONLINE.to_owned()));
    assert_eq!(alice.presence(true), [""; 0]);
}

#[test]
fn what_has_no_answer_is_asked_again_but_not_for_ever() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins_with(socket, sharing("m", true), Some(true));
    alice.hears(Inbox::SharingChanged(SharingChanged {}));
    let mut pauses = Vec::new();
    for tries in 0.. {
        alice.out.clear();
        let failed = Answer::Sharing(socket, SharingFor::Known { tries }, Err(Failure::unavailable()));
        alice.step(|core, step| core.answered(failed, step));
        let Some(Output::After(pause, timer)) = alice.out.pop() else { break };
        pauses.push(pause.as_secs());
        alice.step(|core, step| core.wake(timer, step));
        assert_eq!(alice.put_out(), ["sharing of m"]);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32]);
}

#[test]
fn a_user_is_active_while_one_socket_is_not_in_the_background() {
    let mut alice = alice();
    let phone = alice.connects(1);
    assert!(alice.put_out().contains(&"active true".to_owned()));
    let laptop = alice.connects(2);
    assert!(!alice.put_out().contains(&"active true".to_owned()));
    let state = |state: &str| format!(r#"{{"state":"{state}"}}"#);
    alice.emits(phone, "set_app_state", &state("background"), 1);
    assert_eq!(alice.put_out(), ["ack 1"]);
    alice.step(|core, step| core.disconnected(laptop, step));
    assert_eq!(alice.put_out(), ["active false"]);
    alice.emits(phone, "set_app_state", &state("background"), 2);
    alice.emits(phone, "set_app_state", &state("asleep"), 3);
    assert_eq!(alice.put_out(), ["ack 2", "rejected", "ack 3 INVALID_PAYLOAD"]);
    alice.emits(phone, "set_app_state", &state("active"), 4);
    assert_eq!(alice.put_out(), ["ack 4", "active true"]);
}

#[test]
fn who_does_not_share_typing_neither_shows_nor_sees_it() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins_with(socket, Sharing { hides_typing: true, ..sharing("m", false) }, None);
    alice.out.clear();
    let types = || Inbox::TypingChanged(TypingChanged { match_id: "m".into(), user_id: "bob".into(), is_typing: true });
    alice.emits(socket, "typing", "\"m\"", 1);
    assert_eq!(alice.put_out(), ["ack 1"]);
    alice.hears(types());
    assert_eq!(alice.put_out(), [""; 0]);
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1"], "nor that he has stopped");
    alice.hears(Inbox::SharingChanged(SharingChanged {}));
    alice.is_found(vec![Found { sharing: sharing("m", false), online: None }]);
    alice.hears(types());
    alice.out.clear();
    alice.emits(socket, "typing", "\"m\"", 2);
    assert_eq!(alice.put_out(), ["publish to bob: typing", "ack 2"]);
    alice.hears(Inbox::SharingChanged(SharingChanged {}));
    alice.is_found(vec![Found { sharing: Sharing { hides_typing: true, ..sharing("m", false) }, online: None }]);
    assert_eq!(alice.put_out(), ["publish to bob: typing no more", "user_typing", "watch bob None"]);
}

#[test]
fn who_is_apart_by_a_block_is_neither_told_nor_shown() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins_with(socket, Sharing { apart: vec!["bob".into()], ..sharing("m", false) }, None);
    alice.out.clear();
    alice.emits(socket, "typing", "\"m\"", 1);
    assert_eq!(alice.put_out(), ["ack 1"]);
    let types = TypingChanged { match_id: "m".into(), user_id: "bob".into(), is_typing: true };
    alice.hears(Inbox::TypingChanged(types));
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1"]);
}
