//! The way of commits into the stream, and the repair of what that may lack; after `chat-service/src/posted.rs`.

use std::{rc::Rc, time::Duration};

use chat_service::posted::Scope;
use proto::{MatchId, partition};

use super::Replica;
use crate::mistake::Mistake;

/// How often to look whether the stream is still there and still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How often a repair tries to get rid of the heads before the stream is looked at again.
const REPAIR_TRIES: usize = 5;
/// How long before a time from which on commits may be missing one may be missing too: no simulated transaction takes
/// longer. The minute of `Repair::oldest_ms` would reach back to the beginning of most runs, and hide a watermark that
/// is wrong.
const OVERLAP_MS: i64 = 6_000;

impl Replica {
    /// Notes for ever that the stream may be another one.
    pub(super) async fn watch_stream(self: Rc<Self>) {
        let disturbances = self.world.net.disturbances(self.process);
        loop {
            disturbances.pop().await;
            self.posted.is_disturbed.set(true);
            self.posted.wake();
        }
    }

    /// Publishes until the process dies.
    pub(super) async fn publish_for_ever(self: Rc<Self>) {
        // Before it knows who else is there it could vouch for nothing.
        while self.posted.backlog().owned.is_none() {
            self.posted.changed().await;
        }
        let sim = &self.world.sim;
        let (mut seen, mut checked): (Option<u64>, Option<Duration>) = (None, None);
        loop {
            if self.posted.is_disturbed.take() {
                checked = None;
            }
            let is_due = checked.is_none_or(|at| sim.now() >= at + CHECK_INTERVAL);
            if is_due && self.check(&mut seen).await {
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

    /// Finds out what the stream lacks, which may be another one than was seen last. False when that must be tried
    /// again.
    async fn check(&self, seen: &mut Option<u64>) -> bool {
        let Ok(found) = self.world.stream.look(self.process).await else { return false };
        let before = seen.replace(found.life);
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
        self.posted.wake();
        true
    }

    /// Whether the stream has stored everything that waited. What it did not store waits again.
    async fn publish_all(&self) -> bool {
        self.posted.is_publishing.set(true);
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
        self.posted.is_publishing.set(false);
        is_done
    }
}
