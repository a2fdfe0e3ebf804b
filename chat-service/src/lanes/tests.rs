//! When batches begin, what they take, and what becomes of attempts that fail.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proto::{
    ClientId, MatchId, UserId,
    chat::{Code, SendResult},
};

use super::*;
use crate::{
    batch::Decision,
    room::{Author, Draft, failure, unavailable},
};

const INTERVAL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);

fn request(id: &str, drafts: usize, bytes: usize) -> Request {
    let draft =
        |n| Draft { client_id: ClientId::new(format!("c{n}")).unwrap(), body: "x".repeat(bytes), names: vec![] };
    let author = Author { id: UserId::new("alice").unwrap(), origin: None, by_rest: false };
    Request { match_id: MatchId::new(id).unwrap(), author, drafts: (0..drafts).map(draft).collect() }
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

    fn try_push(&mut self, request: Request) -> Result<bool, Refused> {
        self.pushed += 1;
        self.lanes.push(request, self.pushed, self.now + PATIENCE, self.now)
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
    fn end(&mut self, part: Part<usize>, outcome: Result<Decision, TripError>) -> Vec<(usize, Vec<SendResult>)> {
        let Conclusion { answered, rest, .. } = part.conclude(outcome);
        self.lanes.done(rest, self.now);
        answered.into_iter().map(|answered| (answered.ticket, answered.results)).collect()
    }
}

/// Everything is stored, or what there is of it.
#[expect(clippy::unnecessary_wraps, reason = "it is how an attempt ends")]
fn committed(part: &Part<usize>) -> Result<Decision, TripError> {
    let results =
        part.requests().iter().map(|request| vec![failure(Code::Unspecified); request.drafts.len()]).collect();
    Ok(Decision { results, ..Decision::default() })
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
    world.try_push(request("b", BATCH_DRAFTS - 1, 1)).unwrap();
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
        world.try_push(request(&format!("m{n}"), BATCH_DRAFTS, 1)).unwrap();
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
    let message = proto::chat::Message { match_id: "a".into(), seq: 7, ..proto::chat::Message::default() };
    let found = Decision { results: vec![vec![unavailable()]], repeated: vec![message], ..Decision::default() };
    let told = part.conclude(Ok(found));
    assert_eq!((told.answered.len(), told.runs.len(), told.is_unknown), (1, 1, false));
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
    assert_eq!(world.end(stuck, Err(TripError::Stalled)), [(2, vec![unavailable()])]);
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
    let fine = || failure(Code::Unspecified);
    assert_eq!(answers, [(1, vec![fine()]), (2, vec![fine(), failure(Code::Internal), fine()])]);
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
                    world.try_push(request(&format!("m{}", choice % 4), 1 + choice % 3, 1)).unwrap();
                }
                1 => {}
                _ => world.now += INTERVAL,
            }
            if kind != 0 && !running.is_empty() {
                let part: Part<usize> = running.remove(choice % running.len());
                let outcome = ENDS[choice % ENDS.len()].map_or_else(|| committed(&part), Err);
                for (ticket, results) in world.end(part, outcome) {
                    prop_assert!(answered.insert(ticket), "{ticket} is answered twice");
                    prop_assert!(!results.is_empty());
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
