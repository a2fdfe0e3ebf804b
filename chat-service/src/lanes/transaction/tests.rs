//! Which trips an attempt makes, and with what.

use std::time::Duration;

use futures_util::FutureExt;
use proto::{ClientId, UserId};

use super::*;
use crate::{
    command::{CloseMatch, SendMessages},
    outcome::{Changed, Outcome},
    room::{Author, Draft},
};

/// A database of open matches with ten messages, and one that is closed. It notes what it is asked.
struct Recorder {
    trips: Vec<String>,
    now: Instant,
}

fn heads<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeMap<MatchId, Head> {
    let head = |id: &str| Head { last_seq: 10, rev: 2, closed: id == "closed", now_ms: 5, members_rev: 0 };
    ids.map(|id| (MatchId::new(id).unwrap(), head(id))).collect()
}

impl Connection for Recorder {
    async fn advance(&mut self, advances: &BTreeMap<MatchId, i64>) -> Result<BTreeMap<MatchId, Head>, TripError> {
        self.trips.push("advance".to_owned());
        let heads = heads(advances.keys().map(MatchId::as_str));
        Ok(heads.into_iter().filter(|(_, head)| !head.closed).collect())
    }

    async fn lock(&mut self, matches: &[(&str, i64)], wanted: &Wanted<'_>) -> Result<Locked, TripError> {
        let ids: Vec<&str> = matches.iter().map(|(id, _)| *id).collect();
        self.trips.push(format!("lock {ids:?}, {} messages", wanted.by_client_id.len()));
        let stale = matches.iter().filter(|(_, version)| *version != 0);
        let changed = stale.map(|(id, _)| (MatchId::new(*id).unwrap(), audience(0))).collect();
        Ok(Locked { heads: heads(ids.into_iter()), found: Found::default(), changed })
    }

    async fn write(&mut self, writes: &Writes, heads: &BTreeMap<MatchId, Head>) -> Result<(), TripError> {
        let (rows, changes) = (writes.rows.len(), writes.changes.len());
        self.trips.push(format!("write {rows} messages, {changes} changes, {} heads", heads.len()));
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), TripError> {
        self.trips.push("roll back".to_owned());
        Ok(())
    }

    fn now(&self) -> Instant {
        self.now
    }
}

fn send(id: &str) -> SendMessages {
    let draft =
        Draft { client_id: ClientId::new("c").unwrap(), body: "\"x\"".to_owned(), names: Vec::new(), reply_to: None };
    let author = Author { id: UserId::new("alice").unwrap(), origin: None, by_rest: false };
    SendMessages { match_id: MatchId::new(id).unwrap(), author, drafts: vec![draft] }
}

fn audience(version: i64) -> Audience {
    Audience::new(vec![UserId::new("alice").unwrap()], version)
}

/// The trips of an attempt that has a second, and what it came to.
fn attempt(commands: &[&dyn Command], spent: Duration) -> (Vec<String>, Result<Decision, TripError>) {
    attempt_with(commands, Some(&audience(0)), spent)
}

/// The same, with what is known of the members of all matches.
fn attempt_with(
    commands: &[&dyn Command],
    known: Option<&Audience>,
    spent: Duration,
) -> (Vec<String>, Result<Decision, TripError>) {
    let known = commands.iter().map(|command| (command.match_id(), known)).collect();
    let begun = Instant::now();
    let mut recorder = Recorder { trips: Vec::new(), now: begun + spent };
    let outcome = commit(&mut recorder, (commands, &known), false, begun + Duration::from_secs(1)).now_or_never();
    (recorder.trips, outcome.unwrap())
}

#[test]
fn sends_of_open_matches_take_two_trips_and_look_nothing_up() {
    let (trips, _) = attempt(&[&send("a"), &send("b")], Duration::ZERO);
    assert_eq!(trips, ["advance", "write 2 messages, 0 changes, 0 heads"]);
}

#[test]
fn with_another_command_among_them_the_matches_are_locked_first_and_it_is_two_trips_all_the_same() {
    let close = CloseMatch { match_id: MatchId::new("b").unwrap() };
    let (trips, decision) = attempt(&[&send("a"), &close], Duration::ZERO);
    assert_eq!(trips, [r#"lock ["a", "b"], 1 messages"#, "write 1 messages, 1 changes, 2 heads"]);
    let Outcome::Changed(Ok(Changed { change, is_new: true })) = &decision.unwrap().outcomes[1] else { panic!() };
    assert_eq!((change.rev, change.after_seq), (3, 10));
}

#[test]
fn a_send_to_a_closed_match_is_decided_under_its_lock() {
    let (trips, _) = attempt(&[&send("closed")], Duration::ZERO);
    assert_eq!(
        trips,
        ["advance", "roll back", r#"lock ["closed"], 1 messages"#, "write 0 messages, 0 changes, 0 heads"]
    );
}

#[test]
fn what_waits_for_a_lock_until_its_deadline_is_not_stored() {
    let close = CloseMatch { match_id: MatchId::new("a").unwrap() };
    let (trips, outcome) = attempt(&[&close], Duration::from_secs(1));
    assert_eq!((trips.len(), trips[1].as_str(), outcome), (2, "roll back", Err(TripError::Expired)));
    let (trips, outcome) = attempt(&[&send("a")], Duration::from_secs(1));
    assert_eq!(
        (trips.as_slice(), outcome),
        (&["advance".to_owned(), "roll back".to_owned()][..], Err(TripError::Expired))
    );
}

#[test]
fn a_send_of_former_members_is_decided_under_its_lock_by_those_of_now() {
    for known in [None, Some(&audience(7))] {
        let (trips, decision) = attempt_with(&[&send("a")], known, Duration::ZERO);
        let locked = [r#"lock ["a"], 1 messages"#, "write 1 messages, 0 changes, 1 heads"];
        assert_eq!(trips, [&["advance", "roll back"][..], &locked].concat());
        let changed = decision.unwrap().changed;
        assert_eq!(changed, BTreeMap::from([(MatchId::new("a").unwrap(), audience(0))]));
    }
}
