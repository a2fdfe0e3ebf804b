//! Replicas that join, leave, crash and freeze, over a network with delays.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// The longest way of an announcement here.
const MAX_DELAY_MS: u64 = 40;
/// Of so many announcements an unreliable network loses one and repeats one.
const ONE_IN: u64 = 10;

struct Node {
    core: Ownership,
    serves: BTreeSet<u8>,
    crashed: bool,
    left: bool,
    frozen_until_ms: u64,
    /// What came while it was frozen.
    missed: VecDeque<(String, ReplicaState)>,
}

/// Announcements on their way: by arrival, then by order of sending, then by copy.
type Ways = BTreeMap<(u64, u64, u64), (usize, String, ReplicaState)>;

struct World {
    start: Instant,
    now_ms: u64,
    sent: u64,
    /// What decides which announcements are lost and repeated, if any.
    unreliable: Option<u64>,
    nodes: Vec<Node>,
    ways: Ways,
    /// Of each pair the last arrival: NATS keeps the order of one sender.
    last_arrivals: BTreeMap<(usize, usize), u64>,
    /// For how long some partition has had no owner, and the longest such time.
    unowned_since_ms: Option<u64>,
    longest_gap_ms: u64,
}

impl World {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            now_ms: 0,
            sent: 0,
            unreliable: None,
            nodes: Vec::new(),
            ways: Ways::new(),
            last_arrivals: BTreeMap::new(),
            unowned_since_ms: None,
            longest_gap_ms: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn join(&mut self) {
        let core = Ownership::new(format!("replica-{}", self.nodes.len()), self.now());
        let (serves, missed) = (BTreeSet::new(), VecDeque::new());
        self.nodes.push(Node { core, serves, crashed: false, left: false, frozen_until_ms: 0, missed });
    }

    fn leave(&mut self, n: usize) {
        if self.runs(n) {
            self.nodes[n].left = true;
            let now = self.now();
            let step = self.nodes[n].core.leave(now);
            self.apply(n, &step);
        }
    }

    fn runs(&self, n: usize) -> bool {
        let node = &self.nodes[n];
        !node.crashed && !node.left && node.frozen_until_ms <= self.now_ms
    }

    fn apply(&mut self, n: usize, step: &Step) {
        let node = &mut self.nodes[n];
        assert!(step.take.is_disjoint(&node.serves) && step.release.is_subset(&node.serves));
        node.serves = &(&node.serves | &step.take) - &step.release;
        assert_eq!(&node.serves, node.core.owned());
        let id = node.core.id.clone();
        let Some(state) = step.announce else { return };
        for to in 0..self.nodes.len() {
            self.sent += 1;
            for copy in 0..self.copies() {
                let delay = fnv1a(&(self.sent + copy).to_le_bytes()) % MAX_DELAY_MS + 1;
                let last = self.last_arrivals.entry((n, to)).or_default();
                *last = (self.now_ms + delay).max(*last);
                self.ways.insert((*last, self.sent, copy), (to, id.clone(), state));
            }
        }
    }

    /// How often the announcement that was sent last arrives.
    fn copies(&self) -> u64 {
        let Some(seed) = self.unreliable else { return 1 };
        // The low bits of neighbours are too much alike.
        match (fnv1a(&(seed ^ self.sent).to_le_bytes()) >> 32) % ONE_IN {
            0 => 0,
            1 => 2,
            _ => 1,
        }
    }

    fn hear(&mut self, n: usize, from: &str, state: ReplicaState) {
        let now = self.now();
        let node = &mut self.nodes[n];
        if node.crashed {
            return;
        }
        if node.frozen_until_ms > self.now_ms {
            node.missed.push_back((from.to_owned(), state));
            return;
        }
        let step = node.core.hear(from, state, now);
        self.apply(n, &step);
    }

    /// A millisecond passes.
    fn tick(&mut self) {
        self.now_ms += 1;
        for n in 0..self.nodes.len() {
            let node = &mut self.nodes[n];
            if !node.crashed && node.frozen_until_ms <= self.now_ms {
                self.run_node(n);
            }
        }
        while let Some(entry) = self.ways.first_entry().filter(|way| way.key().0 <= self.now_ms) {
            let (to, from, state) = entry.remove();
            self.hear(to, &from, state);
        }
        self.measure();
    }

    /// As the shell does: time first, then what came.
    fn run_node(&mut self, n: usize) {
        let now = self.now();
        if self.nodes[n].core.wake_at() <= now {
            let step = self.nodes[n].core.on_time(now);
            self.apply(n, &step);
        }
        while let Some((from, state)) = self.nodes[n].missed.pop_front() {
            self.hear(n, &from, state);
        }
    }

    fn measure(&mut self) {
        let some_settled = self.nodes.iter().enumerate().any(|(n, node)| self.runs(n) && node.core.is_settled());
        let complete = (0..PARTITIONS).all(|partition| !self.owners(partition).is_empty());
        if complete || !some_settled {
            self.unowned_since_ms = None;
        } else {
            let since = *self.unowned_since_ms.get_or_insert(self.now_ms);
            self.longest_gap_ms = self.longest_gap_ms.max(self.now_ms - since + 1);
        }
    }

    fn run(&mut self, ms: u64) {
        (0..ms).for_each(|_| self.tick());
    }

    fn owners(&self, partition: u8) -> Vec<usize> {
        let serves = |n: &usize| !self.nodes[*n].crashed && self.nodes[*n].serves.contains(&partition);
        (0..self.nodes.len()).filter(serves).collect()
    }

    fn has_one_owner_each(&self) -> bool {
        (0..PARTITIONS).all(|partition| self.owners(partition).len() == 1)
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Join,
    Leave(usize),
    Crash(usize),
    Freeze(usize, u64),
}

impl World {
    fn strike(&mut self, fault: Fault) {
        let count = self.nodes.len().max(1);
        match fault {
            Fault::Join if self.nodes.len() < 8 => self.join(),
            Fault::Leave(n) if n % count < self.nodes.len() => self.leave(n % count),
            Fault::Crash(n) if n % count < self.nodes.len() => self.nodes[n % count].crashed = true,
            Fault::Freeze(n, ms) if n % count < self.nodes.len() => {
                self.nodes[n % count].frozen_until_ms = self.now_ms + ms;
            }
            _ => {}
        }
    }
}

fn graceful() -> impl Strategy<Value = Fault> {
    prop_oneof![2 => Just(Fault::Join), 1 => any::<usize>().prop_map(Fault::Leave)]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Join),
        1 => any::<usize>().prop_map(Fault::Leave),
        1 => any::<usize>().prop_map(Fault::Crash),
        2 => (any::<usize>(), 1..6_000_u64).prop_map(|(n, ms)| Fault::Freeze(n, ms)),
    ]
}

fn schedule(fault: impl Strategy<Value = Fault>) -> impl Strategy<Value = Vec<(u64, Fault)>> {
    proptest::collection::vec((0..3_000_u64, fault), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_each_partition_has_one_owner_three_seconds_later(
        faults in schedule(any_fault()),
        seed in any::<u64>(),
    ) {
        let mut world = World { unreliable: Some(seed), ..World::new() };
        for (after_ms, fault) in faults {
            world.run(after_ms);
            world.strike(fault);
        }
        world.unreliable = None;
        world.join();
        world.run(world.nodes.iter().map(|node| node.frozen_until_ms).max().unwrap_or(0).saturating_sub(world.now_ms));
        world.run(3_000);
        prop_assert!(world.has_one_owner_each());
    }

    #[test]
    fn who_joins_and_leaves_leaves_no_gap_but_the_way_of_an_announcement(faults in schedule(graceful())) {
        let mut world = World::new();
        world.join();
        for (after_ms, fault) in faults {
            world.run(after_ms);
            world.strike(fault);
        }
        world.run(1_000);
        prop_assert!(world.longest_gap_ms <= 2 * MAX_DELAY_MS, "{} ms", world.longest_gap_ms);
    }
}

fn world_of(replicas: usize) -> World {
    let mut world = World::new();
    (0..replicas).for_each(|_| world.join());
    world.run(1_000);
    assert!(world.has_one_owner_each());
    world
}

fn shares(world: &World) -> Vec<BTreeSet<u8>> {
    world.nodes.iter().map(|node| node.serves.clone()).collect()
}

#[test]
fn a_replica_alone_serves_everything_within_half_a_second() {
    let mut world = World::new();
    world.join();
    world.run(2 * MAX_DELAY_MS + 300);
    assert!(world.has_one_owner_each());
}

#[test]
fn a_leave_moves_only_the_leavers_partitions_within_a_second() {
    let mut world = world_of(4);
    let before = shares(&world);
    world.leave(1);
    world.run(1_000);
    assert!(world.has_one_owner_each() && shares(&world)[1].is_empty());
    for n in [0, 2, 3] {
        assert!(shares(&world)[n].is_superset(&before[n]));
    }
}

#[test]
fn a_join_moves_only_what_the_newcomer_takes() {
    let mut world = world_of(3);
    let before = shares(&world);
    world.join();
    world.run(1_000);
    let after = shares(&world);
    assert!(world.has_one_owner_each() && !after[3].is_empty());
    assert!((0..3).all(|n| after[n] == &before[n] - &after[3]));
    assert_eq!(world.longest_gap_ms, 0);
}

#[test]
fn the_partitions_of_a_crashed_replica_move_within_three_seconds() {
    let mut world = world_of(3);
    world.nodes[0].crashed = true;
    world.run(3_000);
    assert!(world.has_one_owner_each());
}

#[test]
fn a_thawed_replica_claims_nothing_on_old_grounds_for_longer_than_a_tick() {
    let mut world = world_of(3);
    world.nodes[0].frozen_until_ms = world.now_ms + 10_000;
    world.run(4_000);
    // Meanwhile one comes and one goes.
    world.join();
    world.leave(2);
    world.run(6_000);
    world.run(u64::try_from(INTERVAL.as_millis()).unwrap());
    assert!(world.has_one_owner_each());
}

#[test]
fn a_replica_that_does_not_hear_itself_keeps_what_it_has() {
    let mut core = Ownership::new("a".into(), Instant::now());
    let at = |ms| core.heard + Duration::from_millis(ms);
    let times: Vec<Instant> = (0..40).map(|n| at(n * 250)).collect();
    core.on_time(times[0]);
    core.hear("a", ReplicaState::Joining, times[0]);
    core.hear("b", ReplicaState::Serving, times[0]);
    let step = core.on_time(times[1]);
    assert_eq!(step.announce, Some(ReplicaState::Serving));
    let share = step.take;
    assert!(!share.is_empty() && share.len() < usize::from(PARTITIONS));
    for now in &times[2..] {
        let step = core.on_time(*now);
        assert!(step.take.is_empty() && step.release.is_empty());
    }
    assert!(core.is_deaf());
    assert_eq!(core.owned(), &share);
}

#[test]
fn shares_are_even() {
    const WORLDS: u64 = 500;
    for replicas in [2_u64, 3, 5, 8] {
        let (mut most, mut served) = (0, 0);
        for n in 0..WORLDS {
            let ids: Vec<String> =
                (0..replicas).map(|k| format!("{:016x}", fnv1a(&(n * 8 + k).to_le_bytes()))).collect();
            let first = |p: &u8| ids[1..].iter().all(|other| is_before(*p, &ids[0], other));
            let share = u64::try_from((0..PARTITIONS).filter(first).count()).unwrap();
            most = most.max(share);
            served += share;
        }
        let even = u64::from(PARTITIONS) / replicas;
        assert!(most < 2 * even + 8, "{replicas} replicas: one serves {most}");
        assert!((even * 9 / 10..=even * 11 / 10 + 1).contains(&(served / WORLDS)), "{replicas}: {served}");
    }
}

#[test]
fn owners_are_frozen_as_all_versions_must_agree() {
    let owner = |p: u8| ["a", "b", "c"].into_iter().max_by_key(|id| (weight(p, id), *id)).unwrap();
    assert_eq!((0..12).map(owner).collect::<String>(), "abcacabcbacb");
}
