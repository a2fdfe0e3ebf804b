//! The core from outside: inputs go in, outputs are expected one by one, and none is left over.

mod calls;
mod changes;
mod defects;
mod gaps;
mod members;
mod presence;
mod receipts;
mod replaced;
mod several;
mod turns;
mod typing;

use std::time::{Duration, Instant};

use proto::{
    MatchId, UserId,
    chat::{GetMatchResponse, Match, Message, SendReply, SendResult, Stored, send_result},
    inbox::{MessagesPosted, inbox_event::Event as Inbox, soft_event::Event as Soft},
};

use super::*;
use crate::{
    Failure, Moment, Settings,
    output::{Answer, Ask, CallFor, Timer, TurnId},
    pid::Pid,
    recovery::{Brought, Recovery},
    snapshot::Snapshot,
    step::{Flood, Limited},
    validity::Validity,
    views::MessageFields,
};

/// Limits that refuse nothing.
struct Unlimited;

impl Limits for Unlimited {
    type Ticket = ();

    fn take_event(&self, _: &UserId, _: Instant) -> Result<(), Flood> {
        Ok(())
    }

    fn take(&self, _: Limited, _: &UserId, _: Instant) -> Result<(), Duration> {
        Ok(())
    }

    fn admit(&self, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    fn has_read(&self, _: &UserId, _: usize, _: Instant) {}
}

/// Alice's core, her clock, and what came out and was not looked at yet.
struct Alice {
    id: UserId,
    core: User<()>,
    at: Moment,
    settings: Settings,
    out: Vec<Output<()>>,
    /// Whether a test looks at what is asked and told of presence.
    has_presence: bool,
}

fn chat(id: &str) -> MatchId {
    MatchId::new(id).unwrap()
}

fn pid(byte: u8) -> Pid {
    Pid::from_random([byte; 16], &UserId::new("alice").unwrap())
}

fn epoch() -> Epoch {
    Epoch::read("one").unwrap()
}

/// What a socket starts with whose client brings nothing.
fn anew(byte: u8) -> Recovery {
    Recovery::anew(pid(byte), None)
}

/// Good for ever.
const TOKEN: Validity = Validity { issued_at_ms: 0, expires_at_s: i64::MAX / 1_000, is_revoked: false };

impl Alice {
    fn new() -> Self {
        let at = Moment { now: Instant::now(), unix_ms: 1_767_225_600_000, random: 1 };
        // What is proved and read has tests of its own.
        let settings = Settings { receipts: false, ..Settings::new(MessageFields::Spread) };
        Self {
            id: UserId::new("alice").unwrap(),
            core: User::default(),
            at,
            settings,
            out: Vec::new(),
            has_presence: false,
        }
    }

    fn step<T>(&mut self, act: impl FnOnce(&mut User<()>, &mut Step<'_, Unlimited>) -> T) -> T {
        self.at.random += 1;
        let settings = self.settings;
        let mut step = Step { user: &self.id, at: self.at, limits: &Unlimited, settings, out: &mut self.out };
        let value = act(&mut self.core, &mut step);
        let is_of_presence = |output: &Output<()>| {
            matches!(output, Output::Watch(..) | Output::Activity(_) | Output::Ask(Ask::Sharing(..)))
        };
        self.out.retain(|output| self.has_presence || !is_of_presence(output));
        value
    }

    /// A socket connects anew, with the pid of this byte.
    fn connects(&mut self, byte: u8) -> SocketId {
        self.connects_with(anew(byte))
    }

    fn connects_with(&mut self, recovery: Recovery) -> SocketId {
        self.at.random += 1;
        let arrival = Arrival::recovered((recovery, epoch()), self.core.heard(), TOKEN, self.at);
        let id = arrival.id();
        self.step(|core, step| core.connected(arrival, step));
        id
    }

    /// What a client brings back that had read so far of the chat `m`, whose head is this.
    fn recovery(&self, byte: u8, seq: i64, head: i64) -> Recovery {
        let members = vec!["alice".into(), "bob".into()];
        let heads = [MatchHead { match_id: "m".into(), last_seq: head, members, ..MatchHead::default() }];
        let own = pid(byte);
        let offset = format!("2~{}~one~m:{seq}:0", own.tag());
        let recovery =
            Brought::read(&self.id, Some(own.as_str()), Some(&offset)).recover(&self.id, (&heads, epoch()), pid(99));
        assert_eq!(recovery.pid, own);
        recovery
    }

    fn recovers(&mut self, byte: u8, seq: i64, head: i64) -> SocketId {
        self.connects_with(self.recovery(byte, seq, head))
    }

    fn emits(&mut self, socket: SocketId, name: &str, argument: &str, ack: u64) {
        let event = ClientEvent { name, arguments: [Some(argument), None], ack: Some(ack), is_invalid: false };
        self.step(|core, step| core.client_event(socket, &event, step));
    }

    fn sends(&mut self, socket: SocketId, client_id: &str, ack: u64) {
        let argument = format!(r#"{{"matchId":"m","message":"hi","clientId":"{client_id}"}}"#);
        self.emits(socket, "send_message", &argument, ack);
    }

    /// The socket joins a chat that has come so far, and hears of it.
    fn joins(&mut self, socket: SocketId, id: &str, last_seq: i64) {
        self.out.clear();
        self.emits(socket, "join_chat", &format!(r#"{{"matchId":"{id}","keepOthers":true}}"#), 7);
        let turn = self.open_asked();
        self.opens(turn, id, last_seq);
        self.out.clear();
    }

    /// Takes the question of a join.
    fn open_asked(&mut self) -> TurnId {
        match self.out.pop() {
            Some(Output::Ask(Ask::Open { turn, .. })) => turn,
            other => panic!("{other:?}"),
        }
    }

    /// Whose turn the request is that was asked for last.
    fn send_asked(&self) -> TurnId {
        match self.out.last() {
            Some(Output::Ask(Ask::Send { turn, .. })) => *turn,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the timer that was asked for last.
    fn timer(&mut self) -> Timer {
        let index = self.out.iter().rposition(|output| matches!(output, Output::After(..)));
        match index.map(|index| self.out.remove(index)) {
            Some(Output::After(_, timer)) => timer,
            other => panic!("{other:?}"),
        }
    }

    fn opens(&mut self, turn: TurnId, id: &str, last_seq: i64) {
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        let of = Match { match_id: id.to_owned(), members, last_seq, ..Match::default() };
        let response = GetMatchResponse { r#match: Some(of), ..GetMatchResponse::default() };
        let snapshot = Snapshot::for_member(response, &self.id);
        let opened = snapshot.map(|snapshot| (snapshot, None));
        self.step(|core, step| core.answered(Answer::Opened(turn, opened), step));
    }

    /// The inbox hears of messages of the chat `m`.
    fn hears_messages(&mut self, seqs: &[i64], sender: &str, origin: Option<u64>) {
        let messages = seqs.iter().map(|seq| message(*seq, sender, origin)).collect();
        self.hears(Inbox::MessagesPosted(MessagesPosted { messages }));
    }

    fn hears(&mut self, event: Inbox) -> bool {
        self.core.hears();
        self.step(|core, step| core.inbox_event(event, step))
    }

    fn answered(&mut self, answer: Answer) {
        self.step(|core, step| core.answered(answer, step));
    }

    /// Time passes, and a timer runs out that was asked for.
    fn wakes(&mut self, timer: Timer) {
        self.step(|core, step| core.wake(timer, step));
    }

    /// Takes what came out, each output in short.
    fn put_out(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out).iter().map(short).collect()
    }
}

fn message(seq: i64, sender: &str, origin: Option<u64>) -> Message {
    Message {
        match_id: "m".into(),
        seq,
        sender_id: sender.into(),
        client_id: format!("c{seq}"),
        origin,
        body: "\"hi\"".into(),
        created_at_ms: 1_767_225_600_000,
        ..Message::default()
    }
}

/// What stored these seqs, or failed.
fn stored(seqs: &[i64]) -> SendReply {
    let results = seqs.iter().map(|seq| {
        let stored = Stored { seq: *seq, created_at_ms: 0, duplicate: false, client_id: format!("c{seq}") };
        SendResult { result: Some(send_result::Result::Stored(stored)) }
    });
    SendReply { results: results.collect() }
}

/// An output in short: what it is, and what of it a test looks at.
fn short(output: &Output<()>) -> String {
    let seq_of = |json: &str| {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        value["seq"].as_i64().or(value["lastSeq"].as_i64()).map_or_else(String::new, |seq| format!(" {seq}"))
    };
    match output {
        Output::Emit(_, event) => format!("{}{}", event.name, seq_of(event.json())),
        Output::Ack(_, ack, json) if json.contains("\"error\"") => {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            format!("ack {ack} {}", value["error"]["code"].as_str().unwrap())
        }
        Output::Ack(_, ack, json) => format!("ack {ack}{}", seq_of(json)),
        Output::Rejected(_) => "rejected".to_owned(),
        Output::PauseReads(_) => "pause reads".to_owned(),
        Output::Prove(_) => "prove".to_owned(),
        Output::Close(_) => "close".to_owned(),
        Output::Publish(to, event, _) => {
            let to: Vec<&str> = to.iter().map(UserId::as_str).collect();
            format!("publish to {}: {}", to.join(" "), kind(event.event.as_ref().unwrap()))
        }
        Output::Ask(Ask::Send { request, .. }) => {
            let ids: Vec<&str> = request.drafts.iter().map(|draft| draft.client_id.as_str()).collect();
            format!("send {}", ids.join(" "))
        }
        Output::Ask(Ask::Change { chat, command, .. }) => format!("change {chat} {}", command.seq),
        Output::Ask(Ask::Mark { chat, read, delivered }) => format!("mark {chat} {read:?} {delivered:?}"),
        Output::Ask(Ask::Receipts(_, chats)) => format!("receipts of {}", chats.join(" ")),
        Output::Ask(Ask::Sharing(_, _, chats)) => format!("sharing of {}", chats.join(" ")),
        Output::Watch(of, told) => format!("watch {of} {told:?}"),
        Output::Activity(is_active) => format!("active {is_active}"),
        Output::Ask(Ask::Open { chat, .. }) => format!("open {chat}"),
        Output::Ask(Ask::Messages { chat, after, .. }) => format!("messages of {chat} after {after}"),
        Output::Ask(Ask::Changes { chat, after, .. }) => format!("changes of {chat} after {after}"),
        Output::Ask(Ask::Heads(chats)) => format!("heads of {}", chats.join(" ")),
        Output::Ask(Ask::Call(..)) => "call".to_owned(),
        Output::Ask(Ask::FindCall(..)) => "find call".to_owned(),
        Output::Ask(Ask::Sync(_, _, request)) => format!("sync {:?}", request.token),
        Output::Ask(Ask::Identify(..)) => "identify".to_owned(),
        Output::After(pause, _) => format!("after {} ms", pause.as_millis()),
        Output::AwaitRoom(_, chat) => format!("await room for {chat}"),
    }
}

fn kind(event: &Soft) -> &'static str {
    match event {
        Soft::TypingChanged(changed) if changed.is_typing => "typing",
        Soft::TypingChanged(_) => "typing no more",
        Soft::SocketReplaced(_) => "replaced",
        Soft::PresenceAsked(_) => "who is here",
    }
}
