//! When batches begin, what they take, and what becomes of attempts that fail.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proto::{
    ClientId, MatchId, UserId,
    chat::{Closing, Code, SendResult, change::Kind},
    inbox::chat_event::Event,
};

use super::*;
use crate::{
    audience::Audience,
    batch::Decision,
    command::{CloseMatch, SendMessages},
    news::{Entry, Logged},
    outcome::{Outcome, Refusal},
    room::{Author, Draft},
    send_result::{failure, unavailable},
    succession::Succession,
};

const INTERVAL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);

fn request(id: &str, drafts: usize, bytes: usize) -> SendMessages {
    let draft = |n| Draft {
        client_id: ClientId::new(format!("c{n}")).unwrap(),
        body: "x".repeat(bytes),
        names: vec![],
        reply_to: None,
    };
    let author = Author { id: UserId::new("alice").unwrap(), origin: None, by_rest: false };
    SendMessages { match_id: MatchId::new(id).unwrap(), author, drafts: (0..drafts).map(draft).collect() }
}

/// Lanes whose tickets are numbers, and the time.
struct World {
    lanes: Lanes<usize>,
    now: Instant,
    pushed: usize,
}

impl World {
    fn new() -> Self {
        Self { lanes: Lanes::new(INTERVAL, 1), now: Instant::now(), pushed: 0 }
    }

    fn push(&mut self, id: &str) -> bool {
        self.try_push(request(id, 1, 1)).unwrap()
    }

    fn try_push(&mut self, command: impl Command + 'static) -> Result<bool, Refused> {
        self.pushed += 1;
        self.lanes.push((Box::new(command), Audience::new(Vec::new(), 0)), self.pushed, self.now + PATIENCE, self.now)
    }

    fn begin(&mut self) -> Part<usize> {
        match self.lanes.next(self.now) {
            Next::Begin { part, .. } => part,
            other => panic!("{other:?}"),
        }
    }

    /// How long the lanes wait.
    fn wait(&mut self) -> Option<Duration> {
        match self.lanes.next(self.now) {
            Next::Wait(at) => at.map(|at| at - self.now),
            other => panic!("{other:?}"),
        }
    }

    /// Ends an attempt; who was answered what.
    fn end(&mut self, part: Part<usize>, outcome: Result<Decision, TripError>) -> Vec<(usize, Outcome)> {
        let Conclusion { answered, rest, .. } = part.conclude(outcome);
        self.lanes.done(rest, self.now);
        answered.into_iter().map(|answered| (answered.ticket, answered.outcome)).collect()
    }
}

/// Everything is stored, or what there is of it.
#[expect(clippy::unnecessary_wraps, reason = "it is how an attempt ends")]
fn committed(part: &Part<usize>) -> Result<Decision, TripError> {
    let outcome = |command: &&dyn Command| match command.refuse(Refusal::Broken) {
        Outcome::Sent(results) => sent(vec![fine(); results.len()]),
        refused @ Outcome::Changed(_) => refused,
    };
    let outcomes = part.commands().iter().map(outcome).collect();
    Ok(Decision { outcomes, ..Decision::default() })
}

fn fine() -> SendResult {
    failure(Code::Unspecified)
}

fn sent(results: Vec<SendResult>) -> Outcome {
    Outcome::Sent(results)
}

fn tickets(part: &Part<usize>) -> Vec<usize> {
    part.tickets().copied().collect()
}

#[test]
fn the_first_request_after_quiet_begins_at_once_and_what_follows_goes_together_an_interval_later() {
    let mut world = World::new();
    assert_eq!(world.wait(), None);
    assert!(world.push("a"), "an idle lane is woken");
    let first = world.begin();
    assert_eq!(tickets(&first), [1]);
    let outcome = committed(&first);
    world.end(first, outcome);
    assert!(world.push("b"));
    assert!(!world.push("c"), "a lane waits already");
    assert_eq!(world.wait(), Some(INTERVAL));
    world.now += INTERVAL;
    assert_eq!(tickets(&world.begin()), [2, 3]);
}

#[test]
fn a_full_batch_waits_for_nothing() {
    let mut world = World::new();
    world.push("a");
    let _running = world.begin();
    world.try_push(request("b", BATCH_ROWS - 1, 1)).unwrap();
    assert_eq!(world.wait(), Some(INTERVAL * INTERVALS_BEFORE_ANOTHER_LANE));
    assert!(world.push("c"), "another lane is woken");
    assert_eq!(tickets(&world.begin()), [2, 3]);
}

#[test]
fn a_batch_takes_what_waits_up_to_its_size_and_another_lane_the_rest() {
    let mut world = World::new();
    for n in 0..5 {
        world.try_push(request(&format!("m{n}"), 80, 1)).unwrap();
    }
    let Next::Begin { part, more: true, .. } = world.lanes.next(world.now) else { panic!() };
    assert_eq!(tickets(&part), [1, 2, 3]);
    world.now += INTERVAL * INTERVALS_BEFORE_ANOTHER_LANE;
    assert_eq!(tickets(&world.begin()), [4, 5]);
}

#[test]
fn a_match_is_in_one_lane_at_a_time_and_holds_up_no_other() {
    let mut world = World::new();
    world.push("stuck");
    let stuck = world.begin();
    world.push("stuck");
    assert_eq!(world.wait(), None);
    world.push("b");
    world.now += INTERVAL * INTERVALS_BEFORE_ANOTHER_LANE;
    assert_eq!(tickets(&world.begin()), [3]);
    let outcome = committed(&stuck);
    world.end(stuck, outcome);
    world.now += INTERVAL * INTERVALS_BEFORE_ANOTHER_LANE;
    assert_eq!(tickets(&world.begin()), [2]);
}

#[test]
fn who_leaves_waits_for_no_interval_and_leaves_nothing_behind() {
    let mut world = World::new();
    world.push("a");
    let running = world.begin();
    world.push("a");
    world.push("b");
    world.lanes.close();
    assert_eq!(world.try_push(request("c", 1, 1)), Err(Refused::Away));
    assert_eq!(tickets(&world.begin()), [3]);
    assert!(matches!(world.lanes.next(world.now), Next::End), "the rest is the busy lane's");
    let outcome = committed(&running);
    world.end(running, outcome);
    assert_eq!(tickets(&world.begin()), [2]);
}

#[test]
fn lanes_that_are_behind_refuse_until_they_have_caught_up() {
    let mut world = World::new();
    for n in 0..3 {
        world.try_push(request(&format!("m{n}"), BATCH_ROWS, 1)).unwrap();
    }
    world.now += Duration::from_millis(500);
    world.begin();
    assert_eq!(world.try_push(request("b", 1, 1)), Err(Refused::Full));
    // The last batch is no backlog.
    world.begin();
    assert!(world.try_push(request("b", 1, 1)).is_ok());
}

#[test]
fn too_many_requests_are_refused_until_some_are_taken() {
    let mut world = World::new();
    for _ in 0..MAX_WAITING {
        world.push("a");
    }
    assert_eq!(world.try_push(request("a", 1, 1)), Err(Refused::Full));
    world.begin();
    assert!(world.try_push(request("a", 1, 1)).is_ok());
}

#[test]
fn too_many_bytes_are_refused_until_some_are_answered() {
    let mut world = World::new();
    world.try_push(request("a", 1, (MAX_WAITING_KIB - 1) * 1024)).unwrap();
    assert_eq!(world.try_push(request("a", 1, 1024)), Err(Refused::Full));
    let part = world.begin();
    assert_eq!(world.try_push(request("a", 1, 1024)), Err(Refused::Full));
    let outcome = committed(&part);
    world.end(part, outcome);
    assert!(world.try_push(request("a", 1, 1024)).is_ok());
}

#[test]
fn an_unknown_commit_is_repeated_under_locks_and_what_it_stored_is_told() {
    let mut world = World::new();
    world.push("a");
    let lost = world.begin().conclude(Err(TripError::Lost));
    assert!(lost.is_unknown && lost.answered.is_empty());
    world.lanes.done(lost.rest, world.now);
    let part = world.begin();
    assert!(part.is_locked());
    let told = part.conclude(Ok(repeating(vec![message("a", 7)])));
    assert_eq!((told.answered.len(), told.news.len(), told.is_unknown), (1, 1, false));
    assert_eq!(told.progress.iter().map(|at| at.committed_ms).collect::<Vec<_>>(), [None, Some(0)]);
}

#[test]
fn what_stood_before_is_told_only_after_an_unknown_commit() {
    for (first, is_told) in [(TripError::Lost, true), (TripError::Contended, false)] {
        let mut world = World::new();
        world.try_push(CloseMatch { match_id: MatchId::new("a").unwrap() }).unwrap();
        let part = world.begin();
        world.end(part, Err(first));
        world.now += INTERVAL * 2;
        let part = world.begin();
        let change =
            proto::chat::Change { rev: 1, kind: Some(Kind::Closing(Closing {})), ..proto::chat::Change::default() };
        let logged = Logged { match_id: MatchId::new("a").unwrap(), change };
        let told = part.conclude(Ok(repeating(vec![Entry::Change(logged)])));
        let closed = told.news.iter().filter(|news| matches!(news.event, Event::MatchClosed(_))).count();
        assert_eq!((closed == 1, told.news.len() == closed), (is_told, true));
    }
}

fn message(id: &str, seq: i64) -> Entry {
    Entry::Message(proto::chat::Message { match_id: id.into(), seq, ..proto::chat::Message::default() })
}

/// What one command comes to when it finds everything stored.
fn repeating(repeated: Vec<Entry>) -> Decision {
    let members = [(MatchId::new("a").unwrap(), Succession::new(Audience::new(Vec::new(), 0)))].into();
    Decision { outcomes: vec![sent(vec![unavailable()])], repeated, members, ..Decision::default() }
}

#[test]
fn a_command_without_pieces_that_can_never_be_stored_fails_alone() {
    let mut world = World::new();
    world.try_push(CloseMatch { match_id: MatchId::new("a").unwrap() }).unwrap();
    world.push("a");
    let both = world.begin();
    assert!(world.end(both, Err(TripError::Broken)).is_empty());
    let close = world.begin();
    assert_eq!(world.end(close, Err(TripError::Broken)), [(1, Outcome::Changed(Err(Refusal::Broken)))]);
    let send = world.begin();
    let outcome = committed(&send);
    assert_eq!(world.end(send, outcome), [(2, sent(vec![fine()]))]);
}

#[test]
fn the_drafts_before_a_lost_connection_are_answered_and_the_others_unavailable() {
    let mut world = World::new();
    world.try_push(request("a", 3, 1)).unwrap();
    let whole = world.begin();
    world.end(whole, Err(TripError::Broken));
    let first = world.begin();
    let outcome = committed(&first);
    world.end(first, outcome);
    let lost = world.begin().conclude(Err(TripError::Lost));
    assert!(lost.is_unknown);
    let outcomes: Vec<_> = lost.answered.into_iter().map(|answered| answered.outcome).collect();
    assert_eq!(outcomes, [sent(vec![fine(), unavailable(), unavailable()])]);
}

#[test]
fn a_match_that_stalls_is_refused_alone() {
    let mut world = World::new();
    for id in ["a", "stuck", "a"] {
        world.push(id);
    }
    let both = world.begin();
    assert!(world.end(both, Err(TripError::Stalled)).is_empty());
    let [a, stuck] = [(); 2].map(|()| world.begin());
    assert_eq!((tickets(&a), tickets(&stuck)), (vec![1, 3], vec![2]));
    let outcome = committed(&a);
    assert_eq!(world.end(a, outcome).len(), 2);
    assert_eq!(world.end(stuck, Err(TripError::Stalled)), [(2, sent(vec![unavailable()]))]);
}

#[test]
fn a_draft_that_can_never_be_stored_fails_alone() {
    let mut world = World::new();
    world.push("a");
    world.try_push(request("a", 3, 1)).unwrap();
    let mut part = world.begin();
    let mut answers = Vec::new();
    // All, the first request, the second, its drafts.
    let ends = [Some(TripError::Broken), None, Some(TripError::Broken), None, Some(TripError::Broken), None];
    for error in ends {
        let outcome = error.map_or_else(|| committed(&part), Err);
        answers.extend(world.end(part, outcome));
        match world.lanes.next(world.now) {
            Next::Begin { part: next, .. } => part = next,
            _ => break,
        }
    }
    assert_eq!(answers, [(1, sent(vec![fine()])), (2, sent(vec![fine(), failure(Code::Internal), fine()]))]);
    assert_eq!(world.wait(), None);
}

#[test]
fn what_comes_too_late_is_dropped_and_frees_its_match() {
    let mut world = World::new();
    world.push("a");
    world.now += PATIENCE;
    assert_eq!(world.wait(), None);
    world.push("a");
    world.now += INTERVAL;
    assert_eq!(tickets(&world.begin()), [2]);
}

const ENDS: [Option<TripError>; 8] = [
    None,
    Some(TripError::Away),
    Some(TripError::Duplicate),
    Some(TripError::Contended),
    Some(TripError::Stalled),
    Some(TripError::Lost),
    Some(TripError::Refused),
    Some(TripError::Broken),
];

proptest! {
    /// A step pushes a request, ends an attempt in one of the ways, or lets time pass.
    #[test]
    fn every_request_is_answered_once_and_a_match_is_in_one_attempt_at_a_time(
        steps in proptest::collection::vec((0..3_usize, 0..16_usize), 1..200),
    ) {
        let (mut world, mut running, mut answered) = (World::new(), Vec::new(), BTreeSet::new());
        let mut taken = 0;
        for (kind, choice) in steps.into_iter().chain([(2, 0); 200]) {
            match kind {
                0 => {
                    taken += 1;
                    let id = format!("m{}", choice % 4);
                    let pushed = if choice < 3 {
                        world.try_push(CloseMatch { match_id: MatchId::new(id).unwrap() })
                    } else {
                        world.try_push(request(&id, 1 + choice % 3, 1))
                    };
                    pushed.unwrap();
                }
                1 => {}
                _ => world.now += INTERVAL,
            }
            if kind != 0 && !running.is_empty() {
                let part: Part<usize> = running.remove(choice % running.len());
                let outcome = ENDS[choice % ENDS.len()].map_or_else(|| committed(&part), Err);
                for (ticket, outcome) in world.end(part, outcome) {
                    prop_assert!(answered.insert(ticket), "{ticket} is answered twice");
                    prop_assert!(outcome != sent(vec![]));
                }
            }
            while running.len() < 4 && let Next::Begin { part, .. } = world.lanes.next(world.now) {
                let busy = running.iter().flat_map(Part::matches).collect::<BTreeSet<_>>();
                prop_assert!(part.matches().iter().all(|id| !busy.contains(id)));
                running.push(part);
            }
        }
        prop_assert_eq!(answered.len(), taken);
    }
}
