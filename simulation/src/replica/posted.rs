//! The way of commits into the stream, and the repair of what that may lack: the pure `Backlog` of chat-service in a
//! shell that is made after `chat-service/src/posted.rs`.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::BTreeSet,
    rc::Rc,
    time::Duration,
};

use chat_service::posted::{Backlog, Repair, Scope};
use proto::{MatchId, partition};

use crate::{channel::Queue, executor::ProcessId, mistake::Mistake, world::World};

/// How often to look whether the stream is still there and still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How often a repair tries to get rid of the heads before the stream is looked at again.
const REPAIR_TRIES: usize = 5;
/// How long before a time from which on commits may be missing one may be missing too: no simulated transaction takes
/// longer. The minute of [`Repair::oldest_ms`] would reach back to the beginning of most runs, and hide a watermark
/// that is wrong.
const OVERLAP_MS: i64 = 6_000;

/// Where the lanes say what they committed, and the other replicas what they published. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Posted(Rc<Shared>);

#[derive(Default)]
struct Shared {
    backlog: RefCell<Backlog>,
    changed: Queue<()>,
    is_disturbed: Cell<bool>,
    is_publishing: Cell<bool>,
}

impl Posted {
    /// A match has come to `last_seq`; `committed_ms` is the time of the COMMIT if it was this replica's.
    pub(super) fn moved(&self, id: &MatchId, last_seq: i64, committed_ms: Option<i64>) {
        self.backlog().add((id, last_seq), committed_ms, None);
        self.0.changed.push(());
    }

    /// Something may have been committed of which nobody can tell now.
    pub(super) fn missed(&self) {
        self.backlog().owe_own();
        self.0.changed.push(());
    }

    /// A replica died that may have committed since then what it did not publish.
    pub(super) fn lost_peer(&self, since_ms: i64) {
        self.backlog().owe(Repair { since_ms, of: Scope::OwnedPartitions });
        self.0.changed.push(());
    }

    /// Whether this replica knows who else is there.
    pub(super) fn note_settled(&self, is_settled: bool) {
        if self.backlog().note_settled(is_settled) {
            self.0.changed.push(());
        }
    }

    /// This replica owns these partitions. Nothing is published before it owns any.
    pub(super) fn note_owned(&self, partitions: &BTreeSet<u8>) {
        let is_news = self.backlog().owned.as_ref() != Some(partitions);
        if is_news {
            self.backlog().owned = Some(partitions.clone());
            self.0.changed.push(());
        }
    }

    /// What is committed and not published.
    pub(super) fn backlog(&self) -> RefMut<'_, Backlog> {
        self.0.backlog.borrow_mut()
    }

    /// Whether everything is published as far as is known.
    pub(super) fn is_done(&self) -> bool {
        !self.0.is_publishing.get() && self.backlog().is_empty()
    }

    async fn changed(&self) {
        self.0.changed.pop().await;
        while self.0.changed.try_pop().is_some() {}
    }
}

struct Publisher {
    world: Rc<World>,
    process: ProcessId,
    posted: Posted,
    /// The stream that was seen last.
    life: Option<u64>,
}

/// Notes for ever that the stream may be another one.
pub(super) async fn watch(world: Rc<World>, process: ProcessId, posted: Posted) {
    let disturbances = world.net.disturbances(process);
    loop {
        disturbances.pop().await;
        posted.0.is_disturbed.set(true);
        posted.0.changed.push(());
    }
}

/// Publishes until the process dies.
pub(super) async fn run(world: Rc<World>, process: ProcessId, posted: Posted) {
    let mut publisher = Publisher { world, process, posted, life: None };
    publisher.publish_for_ever().await;
}

impl Publisher {
    async fn publish_for_ever(&mut self) {
        // Before it knows who else is there it could vouch for nothing.
        while self.posted.backlog().owned.is_none() {
            self.posted.changed().await;
        }
        let sim = self.world.sim.clone();
        let mut checked: Option<Duration> = None;
        loop {
            if self.posted.0.is_disturbed.take() {
                checked = None;
            }
            let is_due = checked.is_none_or(|at| sim.now() >= at + CHECK_INTERVAL);
            if is_due && self.check().await {
                checked = Some(sim.now());
            }
            let is_whole = checked.is_some() && self.repair().await;
            if checked.is_some() && self.publish_all().await && is_whole {
                sim.timeout(CHECK_INTERVAL, self.posted.changed()).await;
            } else {
                checked = None;
                sim.sleep(PAUSE).await;
            }
        }
    }

    /// Finds out what the stream lacks. False when that must be tried again.
    async fn check(&mut self) -> bool {
        let Ok(found) = self.world.stream.look(self.process).await else { return false };
        let before = self.life.replace(found.life);
        // The next start looks for what the dead left behind, too.
        let forgets = before.is_none() && self.world.mistake == Some(Mistake::ForgetTheDead);
        let is_new = before != Some(found.life) && !forgets;
        let lacks_since_ms = is_new.then(|| found.watermark_ms.filter(|_| before.is_none()).unwrap_or(0));
        self.posted.backlog().looked(lacks_since_ms);
        true
    }

    /// Publishes what the stream may lack. False when that must be tried again.
    async fn repair(&self) -> bool {
        let repair = self.posted.backlog().begin_repair();
        let Some(repair) = repair else { return true };
        let owned = self.posted.backlog().owned.clone().unwrap_or_default();
        let oldest_ms = if repair.is_of_everything() { 0 } else { repair.since_ms - OVERLAP_MS };
        let Ok(moved) = self.world.store.heads_moved_since(oldest_ms).await else { return false };
        let is_wanted = |id: &MatchId| repair.of == Scope::AllPartitions || owned.contains(&partition::of(id));
        for (id, seq) in moved.iter().filter(|(id, _)| is_wanted(id)) {
            self.posted.backlog().add((id, *seq), None, None);
        }
        let mut tries = 1;
        while !self.publish_all().await {
            if tries == REPAIR_TRIES {
                return false;
            }
            tries += 1;
            self.world.sim.sleep(PAUSE).await;
        }
        self.posted.backlog().end_repair();
        // More may have come to be owed.
        self.posted.0.changed.push(());
        true
    }

    /// Whether the stream has stored everything that waited. What it did not store waits again.
    async fn publish_all(&self) -> bool {
        self.posted.0.is_publishing.set(true);
        let moved = self.posted.backlog().take();
        let mut is_done = true;
        if !moved.heads.is_empty() {
            let heads = moved.heads.iter().map(|(id, seq)| (id.clone(), *seq)).collect();
            let watermark_ms = self.posted.backlog().watermark_ms();
            is_done = self.world.stream.publish(self.process, heads, watermark_ms).await.is_ok();
            if !is_done && self.world.mistake != Some(Mistake::ForgetUnpublished) {
                self.posted.backlog().put_back(&moved);
            }
        }
        self.posted.backlog().rest();
        self.posted.0.is_publishing.set(false);
        is_done
    }
}
