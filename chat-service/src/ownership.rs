//! Which partitions a replica serves. Pure: what is heard, and when, goes in; what to take, announce and release comes
//! out.
//!
//! Each partition belongs to one of the replicas that were heard lately, by rendezvous hashing. There is no lock and no
//! lease: while two replicas disagree a partition has two owners or none, and both are harmless.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::{Duration, Instant},
};

use proto::{
    chat::ReplicaState,
    partition::{PARTITIONS, fnv1a},
};

/// How often a replica announces itself.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// A replica that was not heard for this long is gone.
pub const SILENCE: Duration = Duration::from_secs(2);
/// A replica that does not hear even itself for this long cannot tell who else is silent: it was frozen, or NATS is
/// away. Together with [`INTERVAL`] less than [`SILENCE`], so that it learns this before it takes others for gone.
const DEAF_AFTER: Duration = Duration::from_millis(1_250);
/// How long the others have to answer who has joined.
const LISTENING: Duration = Duration::from_millis(250);
/// How long the others have to take what is left to them before it is released.
const HANDOVER: Duration = Duration::from_millis(250);

/// What to do, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Partitions to serve from now on.
    pub take: BTreeSet<u8>,
    /// What to tell the others, once that is served.
    pub announce: Option<ReplicaState>,
    /// Partitions to serve no longer.
    pub release: BTreeSet<u8>,
}

/// One replica's view of who serves what.
#[derive(Debug)]
pub struct Ownership {
    id: String,
    phase: Phase,
    /// When it heard itself last.
    heard: Instant,
    announce_at: Instant,
    /// The other replicas that serve, and when they were heard last.
    others: BTreeMap<String, Instant>,
    owned: BTreeSet<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It asks for the others and does not hear itself yet. It keeps what it has.
    Deaf,
    /// It is heard, so the others are answering.
    Listening { until: Instant },
    /// It serves its share.
    Settled,
    /// The others take its share until then.
    Leaving { until: Instant },
}

impl Ownership {
    /// A replica that serves nothing yet. `id` is nobody else's.
    pub fn new(id: String, now: Instant) -> Self {
        let (others, owned) = (BTreeMap::new(), BTreeSet::new());
        Self { id, phase: Phase::Deaf, heard: now, announce_at: now, others, owned }
    }

    /// What it serves.
    pub fn owned(&self) -> &BTreeSet<u8> {
        &self.owned
    }

    /// Whether it serves its share.
    pub fn is_settled(&self) -> bool {
        self.phase == Phase::Settled
    }

    /// Whether it hears what is announced: only then silence says something.
    pub fn is_deaf(&self) -> bool {
        self.phase == Phase::Deaf
    }

    /// When [`on_time`](Self::on_time) is due.
    pub fn wake_at(&self) -> Instant {
        match self.phase {
            Phase::Listening { until } => until.min(self.announce_at),
            Phase::Leaving { until } if !self.owned.is_empty() => until.min(self.announce_at),
            _ => self.announce_at,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Step {
        if matches!(self.phase, Phase::Listening { .. } | Phase::Settled) && now > self.heard + DEAF_AFTER {
            return self.ask(now);
        }
        let mut step = match self.phase {
            Phase::Listening { until } if now >= until => {
                self.phase = Phase::Settled;
                let mut step = self.rebalance(now);
                step.announce = Some(ReplicaState::Serving);
                step
            }
            Phase::Settled => self.rebalance(now),
            Phase::Leaving { until } if now >= until => Step { release: mem::take(&mut self.owned), ..Step::default() },
            _ => Step::default(),
        };
        if now >= self.announce_at {
            step.announce = Some(self.state());
        }
        if step.announce.is_some() {
            self.announce_at = now + INTERVAL;
        }
        step
    }

    /// A replica, perhaps this one, has announced itself.
    pub fn hear(&mut self, id: &str, state: ReplicaState, now: Instant) -> Step {
        if id == self.id {
            return self.hear_itself(state, now);
        }
        let is_news = match state {
            ReplicaState::Serving => self.others.insert(id.to_owned(), now).is_none(),
            ReplicaState::Leaving | ReplicaState::Left => self.others.remove(id).is_some(),
            ReplicaState::Joining if self.is_settled() => {
                return Step { announce: Some(ReplicaState::Serving), ..Step::default() };
            }
            ReplicaState::Joining | ReplicaState::Unspecified => false,
        };
        if is_news && self.is_settled() { self.rebalance(now) } else { Step::default() }
    }

    /// Leaves for good: [`on_time`](Self::on_time) releases its partitions when the others have had time to take them.
    pub fn leave(&mut self, now: Instant) -> Step {
        let is_alone = self.is_deaf() || self.others.is_empty();
        self.phase = Phase::Leaving { until: if is_alone { now } else { now + HANDOVER } };
        self.announce_at = now + INTERVAL;
        Step { announce: Some(ReplicaState::Leaving), ..Step::default() }
    }

    fn hear_itself(&mut self, state: ReplicaState, now: Instant) -> Step {
        match self.phase {
            // Its question has come back, so all who are there have it too. What was announced before is old.
            Phase::Deaf if state == ReplicaState::Joining => {
                self.others.clear();
                self.phase = Phase::Listening { until: now + LISTENING };
            }
            // Silent for so long, and now what it said before that.
            Phase::Settled | Phase::Listening { .. } if now > self.heard + DEAF_AFTER => return self.ask(now),
            _ => {}
        }
        self.heard = now;
        Step::default()
    }

    fn ask(&mut self, now: Instant) -> Step {
        self.phase = Phase::Deaf;
        self.announce_at = now + INTERVAL;
        Step { announce: Some(ReplicaState::Joining), ..Step::default() }
    }

    fn state(&self) -> ReplicaState {
        match self.phase {
            Phase::Deaf | Phase::Listening { .. } => ReplicaState::Joining,
            Phase::Settled => ReplicaState::Serving,
            Phase::Leaving { .. } => ReplicaState::Leaving,
        }
    }

    /// Takes and releases what the replicas that are there make its share.
    fn rebalance(&mut self, now: Instant) -> Step {
        self.others.retain(|_, heard| now <= *heard + SILENCE);
        let share: BTreeSet<u8> = (0..PARTITIONS)
            .filter(|partition| self.others.keys().all(|other| is_before(*partition, &self.id, other)))
            .collect();
        let (take, release) = (&share - &self.owned, &self.owned - &share);
        self.owned = share;
        Step { take, announce: None, release }
    }
}

/// Whether of two replicas it is `a` that serves the partition (rendezvous hashing: the highest weight wins).
fn is_before(partition: u8, a: &str, b: &str) -> bool {
    (weight(partition, a), a) > (weight(partition, b), b)
}

/// FNV-1a, whose last bytes hardly reach its high bits, and the finalizer of `SplitMix64`, which mixes them.
fn weight(partition: u8, id: &str) -> u64 {
    let mut bytes = id.as_bytes().to_vec();
    bytes.push(partition);
    let hash = fnv1a(&bytes);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests;
