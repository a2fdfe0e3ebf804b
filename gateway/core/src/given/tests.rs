//! Tests of the pure core: what a socket is given through joins, gaps, repeats and recoveries.

use proptest::{collection::vec, prelude::*};
use proto::chat::{MatchHead, Message, Milestone};

use super::*;
use crate::{
    cursor::{self, Cursor},
    epoch::Epoch,
    pid::Pid,
    recovery::{self, Recovery},
    views::MessageFields,
};

fn chat() -> MatchId {
    MatchId::new("m").unwrap()
}

/// A milestone that was recorded before the first message.
fn milestone(rev: i64) -> Arc<Changed> {
    Arc::new(Changed::milestone(chat(), Milestone { rev, ..Milestone::default() }))
}

fn line(tag: &str) -> Line<'_> {
    Line { tag, epoch: Epoch::read("one").unwrap(), call: None }
}

/// What a socket that has not joined, or has, is told of a milestone.
fn told(chats: &mut Chats, changed: &Arc<Changed>) -> &'static str {
    match chats.take_change(changed) {
        Some(due) if due.changes.is_empty() => "nothing",
        Some(_) => "joined",
        None if chats.is_past(&chat(), changed.number()) => "nothing",
        None => "notice",
    }
}

fn posted(seq: i64) -> Arc<Posted> {
    let message = Message { match_id: "m".into(), seq, sender_id: "bob".into(), ..Message::default() };
    Posted::new(message, MessageFields::Spread).unwrap()
}

fn joined(last_seq: i64) -> Chats {
    let mut chats = Chats::default();
    assert!(chats.begin_join(&chat(), false));
    chats.chat(&chat()).unwrap().room.opened(last_seq, 0);
    chats
}

#[test]
fn who_was_told_of_a_milestone_before_leaving_is_not_told_again() {
    let mut chats = joined(3);
    assert_eq!(told(&mut chats, &milestone(1)), "joined");
    chats.leave(&chat());
    assert_eq!([1, 2].map(|rev| told(&mut chats, &milestone(rev))), ["nothing", "notice"]);
}

#[test]
fn a_milestone_of_a_closed_match_is_old_news() {
    let mut chats = Chats::default();
    chats.close(&chat());
    assert_eq!(told(&mut chats, &milestone(1)), "nothing");
}

#[test]
fn own_messages_are_not_given_and_those_saved_by_rest_are_updates() {
    let chats = joined(0);
    let user = UserId::new("bob").unwrap();
    let viewer = Viewer { user: &user, origin: 7, line: line("tag") };
    let own = |seq, origin| {
        let message = Message { match_id: "m".into(), seq, sender_id: "bob".into(), origin, ..Message::default() };
        Posted::new(message, MessageFields::Spread).unwrap()
    };
    let due = Due { messages: vec![own(1, Some(7)), own(2, None), own(3, Some(8))], changes: vec![] };
    let given: Vec<_> = chats.given(viewer, &chat(), due).collect();
    let [Given::Update(rest), Given::Message(other, _)] = &given[..] else { panic!("{given:?}") };
    assert_eq!((rest.number(), other.number()), (2, 3));
}

#[test]
fn a_socket_that_is_not_recovered_is_given_the_same_without_cursors() {
    let chats = joined(0);
    let user = UserId::new("alice").unwrap();
    let viewer = Viewer { user: &user, origin: 7, line: line("") };
    let due = Due { messages: vec![posted(1)], changes: vec![milestone(1)] };
    let given: Vec<_> = chats.given(viewer, &chat(), due).collect();
    let [Given::Change(_, first), Given::Message(_, second)] = &given[..] else { panic!("{given:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("", ""));
}

/// What happens to a socket and its chat.
#[derive(Debug, Clone)]
enum Event {
    /// A message is committed.
    Stored,
    /// A message arrives, counted back from the newest: late, repeated, or out of order.
    Arrives(i64),
    /// A milestone is recorded.
    Reached,
    /// A milestone is announced.
    Announced(i64),
    /// A page of what is missing was fetched.
    Fetched,
    /// A join reads its snapshot.
    Joins,
    /// That join is done, or has failed.
    Opened(bool),
    /// The connection is lost with so many events on their way, and the client comes back.
    Cut(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Stored),
        4 => (0_i64..6).prop_map(Event::Arrives),
        1 => Just(Event::Reached),
        1 => (1_i64..4).prop_map(Event::Announced),
        2 => Just(Event::Fetched),
        1 => Just(Event::Joins),
        2 => any::<bool>().prop_map(Event::Opened),
        1 => (0_usize..4).prop_map(Event::Cut),
    ]
}

/// What reaches the client.
#[derive(Debug, Clone, Copy)]
enum Heard {
    Message(i64),
    Milestone(i64),
    Joined(i64, i64),
}

/// A client and its socket, whatever happens.
struct Client {
    user: UserId,
    pid: Pid,
    chats: Chats,
    head: i64,
    milestones: i64,
    snapshot: Option<(i64, i64)>,
    on_the_way: Vec<(Heard, String)>,
    cursor: String,
    last: i64,
    told: i64,
}

impl Client {
    fn new() -> Self {
        let user = UserId::new("alice").unwrap();
        let (pid, chats) = (Pid::from_random([7; 16], &user), joined(0));
        let cursor = chats.cursor(line(pid.tag()), None);
        Self { user, pid, chats, head: 0, milestones: 0, snapshot: None, on_the_way: vec![], cursor, last: 0, told: 0 }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Stored => self.head += 1,
            Event::Arrives(back) if *back < self.head => {
                let due = self.chats.take_posts(&[posted(self.head - back)]);
                self.give(due.unwrap());
            }
            Event::Reached => self.milestones += 1,
            Event::Announced(rev) if *rev <= self.milestones => self.announce(*rev),
            Event::Fetched => self.fetch(3),
            Event::Joins if self.snapshot.is_none() => {
                self.chats.begin_join(&chat(), true);
                self.snapshot = Some((self.head, self.milestones));
            }
            Event::Opened(succeeds) => self.end_join(*succeeds),
            Event::Cut(lost) => self.cut(*lost),
            Event::Arrives(_) | Event::Announced(_) | Event::Joins => {}
        }
    }

    fn give(&mut self, due: DueEvents) {
        let viewer = Viewer { user: &self.user, origin: 1, line: line(self.pid.tag()) };
        for given in self.chats.given(viewer, &chat(), due) {
            self.on_the_way.push(match given {
                Given::Message(posted, cursor) => (Heard::Message(posted.number()), cursor),
                Given::Change(changed, cursor) => (Heard::Milestone(changed.number()), cursor),
                Given::Update(posted) => panic!("{posted:?}"),
            });
        }
    }

    fn announce(&mut self, rev: i64) {
        let due = self.chats.take_change(&milestone(rev));
        self.give(due.unwrap());
    }

    fn fetch(&mut self, count: i64) {
        let room = &mut self.chats.chat(&chat()).unwrap().room;
        let from = room.seq() + 1;
        let mut due = DueEvents::default();
        (from..(from + count).min(self.head + 1)).for_each(|seq| due.extend(room.fill(posted(seq))));
        self.give(due);
    }

    fn end_join(&mut self, succeeds: bool) {
        let Some((last_seq, milestones)) = self.snapshot.take() else { return };
        let room = &mut self.chats.chat(&chat()).unwrap().room;
        if !succeeds {
            let due = room.join_failed().unwrap();
            return self.give(due);
        }
        let due = room.opened(last_seq, milestones);
        let cursor = self.chats.cursor_joined(line(self.pid.tag()), &chat(), &due);
        self.on_the_way.push((Heard::Joined(last_seq, milestones), cursor));
        self.give(due);
    }

    fn cut(&mut self, lost: usize) {
        self.on_the_way.truncate(self.on_the_way.len().saturating_sub(lost));
        self.read();
        self.snapshot = None;
        let cursor: Cursor = cursor::read(&self.cursor, self.pid.tag()).unwrap();
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        let head = MatchHead {
            match_id: "m".into(),
            last_seq: self.head,
            rev: self.milestones,
            closed: false,
            members,
            ..MatchHead::default()
        };
        let Recovery { chats, .. } = recovery::resume(&self.pid, &self.user, cursor, &[head]).unwrap();
        self.chats = Chats::restored(chats);
    }

    /// Each message and each milestone comes once, after the one before it.
    fn read(&mut self) {
        for (heard, cursor) in std::mem::take(&mut self.on_the_way) {
            match heard {
                Heard::Message(seq) => {
                    assert_eq!(seq, self.last + 1);
                    self.last = seq;
                }
                Heard::Milestone(rev) => {
                    assert_eq!(rev, self.told + 1);
                    self.told = rev;
                }
                // What lies before the snapshot is left to paging.
                Heard::Joined(last_seq, milestones) => {
                    (self.last, self.told) = (self.last.max(last_seq), self.told.max(milestones));
                }
            }
            self.cursor = cursor;
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_lost_repeated_or_cut_each_message_and_milestone_is_given_once_and_in_order(
        events in vec(event(), 0..120),
    ) {
        let mut client = Client::new();
        for event in &events {
            client.apply(event);
        }
        client.end_join(true);
        // The comparison of heads heals the rest.
        client.chats.chat(&chat()).unwrap().room.learn_head(client.head, client.milestones);
        client.fetch(client.head);
        for rev in 1..=client.milestones {
            client.announce(rev);
        }
        client.read();
        prop_assert_eq!((client.last, client.told), (client.head, client.milestones));
        prop_assert!(client.chats.chat(&chat()).unwrap().room.missing().is_none());
    }
}
