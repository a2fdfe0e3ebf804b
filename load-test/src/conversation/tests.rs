//! A conversation frame by frame: what the user writes and what the checker learns.

use promises::Promise;

use super::{joining::JOIN_LIMIT, *};
use crate::{
    arrivals::Spacing,
    outbox::SendRules,
    stats::{Counts, Stats},
};

const SECOND: Duration = Duration::from_secs(1);

struct Chat {
    conversation: Conversation,
    checked: Arc<Mutex<promises::Chat>>,
    run: Arc<Run>,
}

/// Side A of a pair that sends one message a second from 0 on.
fn chat() -> Chat {
    let rules = SendRules { window: 1, attempts: 5, ack_timeout: 10 * SECOND };
    let (name, body) = ("r".into(), r#""x""#.into());
    let run = Arc::new(Run { name, body, rules, reading: true, stats: Stats::new().unwrap() });
    let checked = Arc::new(Mutex::new(super::chat("load-r-0")));
    let pair = Arc::new(Pair::new("r", 0));
    let conversation = Conversation::new(Arc::clone(&run), pair, Side::A, Arc::clone(&checked));
    Chat { conversation, checked, run }
}

/// The same, joined and sending.
fn joined() -> Chat {
    let mut chat = chat();
    chat.other(Event::Connected { recovered: false });
    chat.other(Event::Joined { last_seq: 0, known: Known::default(), told: 0 });
    chat.conversation.connected(Duration::ZERO);
    assert_eq!(chat.frames(), [r#"420["join_chat","load-r-0"]"#]);
    chat.hear(r#"430[{"ok":true,"lastSeq":0,"messages":[],"hasMore":false}]"#).unwrap();
    let arrivals = Arrivals::new(Spacing::Constant, 1.0, (Duration::ZERO, 100 * SECOND), 1);
    chat.conversation.start(arrivals, Duration::ZERO);
    chat
}

impl Chat {
    fn frames(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.conversation.next_frame()).collect()
    }

    fn hear(&mut self, text: &str) -> Result<(), End> {
        self.conversation.handle(text, SECOND)
    }

    fn at(&mut self, now: Duration) -> Vec<String> {
        self.conversation.advance(now).unwrap();
        self.frames()
    }

    fn counts(&self) -> Counts {
        self.run.stats.counters.read()
    }

    /// The other member sends this message, which is stored at `seq`.
    fn other_sends(&self, index: u32, seq: u32) {
        let tag = promises::Tag { slot: 1, index, variant: 0 };
        self.other(Event::Emitted { tag, route: Route::Socket });
        self.other(Event::Acked { tag, seq, duplicate: false });
    }

    /// The other member is given a message of this one.
    fn other_gets(&self, index: u32, seq: u32) {
        self.other(Event::Received { tag: Some(promises::Tag { slot: 0, index, variant: 0 }), seq });
    }

    fn other(&self, event: Event) {
        lock(&self.checked).observe(Entry { at_ms: 0, slot: 1, event });
    }

    fn broken(&self) -> Vec<Promise> {
        let checked = std::mem::replace(&mut *lock(&self.checked), super::chat(""));
        let seen = checked.as_seen();
        checked.conclude(&seen).kept().map(|violation| violation.promise).collect()
    }
}

fn received(seq: u64, sender: &str, index: u32) -> String {
    format!(r#"{{"id":"m:{seq}","seq":{seq},"senderId":"load-r-0-{sender}","clientId":"r-{index}-0","message":"x"}}"#)
}

fn live(seq: u64, sender: &str, index: u32) -> String {
    format!(r#"42["receive_message",{},"1~cursor"]"#, received(seq, sender, index))
}

#[test]
fn a_ping_is_answered() {
    let mut chat = joined();
    chat.hear("2").unwrap();
    assert_eq!(chat.frames(), ["3"]);
}

#[test]
fn nothing_is_sent_before_the_chat_is_joined() {
    let mut chat = chat();
    chat.conversation.start(Arrivals::new(Spacing::Constant, 10.0, (Duration::ZERO, SECOND), 1), Duration::ZERO);
    chat.conversation.connected(Duration::ZERO);
    assert_eq!(chat.at(SECOND).len(), 1, "only the join");
    assert_eq!(chat.counts().sent, 0);
}

#[test]
fn a_join_without_an_answer_ends_the_connection() {
    let mut chat = chat();
    chat.conversation.connected(Duration::ZERO);
    assert_eq!(chat.conversation.advance(JOIN_LIMIT), Err(End::Closed));
}

#[test]
fn a_refused_join_is_repeated_only_if_it_may_succeed() {
    let mut chat = chat();
    chat.conversation.connected(Duration::ZERO);
    chat.frames();
    chat.hear(r#"430[{"ok":false,"error":{"code":"RATE_LIMITED","retryable":true,"retryAfterMs":200}}]"#).unwrap();
    assert_eq!(chat.at(SECOND), Vec::<String>::new());
    assert_eq!(chat.at(SECOND + Duration::from_millis(200)), [r#"421["join_chat","load-r-0"]"#]);
    assert_eq!(
        chat.hear(r#"431[{"ok":false,"error":{"code":"MATCH_NOT_FOUND","retryable":false}}]"#),
        Err(End::Refused)
    );
}

#[test]
fn an_acked_message_that_the_other_member_got_violates_nothing() {
    let mut chat = joined();
    let frames = chat.at(SECOND);
    assert!(
        frames[0].starts_with(r#"421["send_message",{"matchId":"load-r-0","message":"x","clientId":"r-0-"#),
        "{frames:?}"
    );
    chat.hear(r#"431[{"ok":true,"id":"m:1","seq":1,"createdAt":"…","clientId":"r-0-1","duplicate":false}]"#).unwrap();
    assert_eq!((chat.counts().sent, chat.counts().acked, chat.counts().unsettled()), (1, 1, 0));
    assert!(!lock(&chat.checked).has_caught_up(1));
    chat.other_gets(0, 1);
    assert!(lock(&chat.checked).has_caught_up(1));
    chat.other_sends(0, 2);
    chat.hear(&live(2, "b", 0)).unwrap();
    assert_eq!(chat.broken(), []);
}

#[test]
fn unavailable_is_sent_again_with_the_same_client_id() {
    let mut chat = joined();
    let first = chat.at(SECOND);
    chat.hear(r#"431[{"ok":false,"error":{"code":"UNAVAILABLE","message":"…","retryable":true}}]"#).unwrap();
    let again = chat.at(2 * SECOND);
    assert_eq!(again, [first[0].replacen("421[", "422[", 1)]);
    chat.hear(r#"432[{"ok":true,"seq":1,"duplicate":true}]"#).unwrap();
    let counts = chat.counts();
    assert_eq!((counts.retryable_errors, counts.resent, counts.duplicates, counts.acked), (1, 1, 1, 1));
}

#[test]
fn a_final_refusal_is_counted_by_its_code() {
    let mut chat = joined();
    chat.at(SECOND);
    chat.hear(r#"431[{"ok":false,"error":{"code":"MATCH_CLOSED","message":"…","retryable":false}}]"#).unwrap();
    assert_eq!((chat.counts().refused, chat.counts().unsettled()), (1, 0));
    assert_eq!(chat.run.stats.codes()["MATCH_CLOSED"], 1);
}

#[test]
fn two_acks_of_one_message_must_name_the_same_seq() {
    let mut chat = joined();
    chat.at(SECOND);
    chat.at(12 * SECOND);
    chat.hear(r#"432[{"ok":true,"seq":2,"duplicate":true}]"#).unwrap();
    chat.hear(r#"431[{"ok":true,"seq":1,"duplicate":false}]"#).unwrap();
    assert!(chat.broken().contains(&Promise::Once));
}

#[test]
fn a_reconnect_asks_for_what_was_missed_and_repeats_what_was_in_flight() {
    let mut chat = joined();
    chat.other_sends(0, 1);
    chat.hear(&live(1, "b", 0)).unwrap();
    chat.at(SECOND);
    chat.other_sends(1, 3);
    chat.other_sends(2, 4);
    chat.conversation.disconnected();
    chat.conversation.connected(2 * SECOND);
    assert_eq!(chat.frames(), [r#"422["join_chat",{"matchId":"load-r-0","sinceSeq":1}]"#]);
    let page = format!("{},{}", received(2, "a", 0), received(3, "b", 1));
    chat.hear(&format!(r#"432[{{"ok":true,"lastSeq":4,"messages":[{page}],"hasMore":true}}]"#)).unwrap();
    assert_eq!(chat.frames(), [r#"423["join_chat",{"matchId":"load-r-0","sinceSeq":3}]"#]);
    chat.other_sends(3, 5);
    chat.hear(&live(5, "b", 3)).unwrap();
    chat.hear(&format!(r#"433[{{"ok":true,"lastSeq":4,"messages":[{}],"hasMore":false}}]"#, received(4, "b", 2)))
        .unwrap();
    let again = chat.at(3 * SECOND);
    assert!(again[0].contains(r#""clientId":"r-0-"#), "{again:?}");
    chat.hear(r#"434[{"ok":true,"seq":2,"duplicate":true}]"#).unwrap();
    chat.other_gets(0, 2);
    assert_eq!((chat.counts().received_live, chat.counts().received_caught_up), (1, 3));
    assert_eq!(chat.broken(), []);
}

#[test]
fn an_own_message_as_an_event_and_a_stranger_are_violations() {
    let mut chat = joined();
    chat.at(SECOND);
    chat.hear(r#"431[{"ok":true,"seq":1,"duplicate":false}]"#).unwrap();
    chat.other_gets(0, 1);
    chat.hear(&live(1, "a", 0)).unwrap();
    assert_eq!(chat.broken(), [Promise::Delivered]);
    let mut chat = joined();
    chat.hear(r#"42["receive_message",{"seq":1,"senderId":"x","clientId":null,"message":1}]"#).unwrap();
    assert_eq!(chat.broken(), [Promise::Durable]);
}

#[test]
fn a_hole_in_a_page_is_a_violation() {
    let mut chat = joined();
    chat.other_sends(0, 1);
    chat.other_sends(1, 2);
    chat.conversation.disconnected();
    chat.conversation.connected(SECOND);
    chat.frames();
    chat.hear(&format!(r#"431[{{"ok":true,"lastSeq":2,"messages":[{}],"hasMore":false}}]"#, received(2, "b", 1)))
        .unwrap();
    assert_eq!(chat.broken(), [Promise::Delivered]);
}
