//! The heads that are to be published durably, and the repair of what the stream may lack; after `chat-service/src/posted.rs`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use proto::MatchId;

use crate::{channel::Queue, mistake::Mistake, world::World};

/// How often to look whether the stream is still there and still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How long before a time from which on commits may be missing one may be missing too.
const OVERLAP_MS: i64 = 60_000;

/// Where the lanes say what they committed. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Posted(Rc<Waiting>);

#[derive(Default)]
struct Waiting {
    heads: RefCell<BTreeMap<MatchId, i64>>,
    missed_since_ms: Cell<Option<i64>>,
    changed: Queue<()>,
}

impl Posted {
    /// A match has come to `last_seq`.
    pub(super) fn moved(&self, id: &MatchId, last_seq: i64) {
        let mut heads = self.0.heads.borrow_mut();
        let head = heads.entry(id.clone()).or_insert(last_seq);
        *head = last_seq.max(*head);
        self.0.changed.push(());
    }

    /// Something may have been committed of which nobody can tell now.
    pub(super) fn missed(&self, now_ms: i64) {
        self.0.missed_since_ms.set(Some(self.0.missed_since_ms.get().map_or(now_ms, |before| before.min(now_ms))));
        self.0.changed.push(());
    }
}

/// Publishes until the process dies.
pub(super) async fn run(world: Rc<World>, posted: Posted) {
    let (mut stream, mut owed_since_ms) = (None, None::<i64>);
    loop {
        let found = world.stream.look().await;
        if let Ok(found) = &found
            && stream != Some(found.life)
        {
            owed_since_ms = Some(if stream.is_none() { found.last_ms.unwrap_or(0) } else { 0 });
            stream = Some(found.life);
        }
        if let Some(since_ms) = posted.0.missed_since_ms.take() {
            owed_since_ms = Some(owed_since_ms.map_or(since_ms, |owed| owed.min(since_ms)));
        }
        let ready = found.is_ok() && repair(&world, &posted, &mut owed_since_ms).await;
        if publish(&world, &posted).await && ready {
            world.sim.timeout(CHECK_INTERVAL, posted.0.changed.pop()).await;
        } else {
            world.sim.sleep(PAUSE).await;
        }
    }
}

/// Adds the heads of the matches that moved lately. False when that must be tried again.
async fn repair(world: &Rc<World>, posted: &Posted, owed_since_ms: &mut Option<i64>) -> bool {
    let Some(since_ms) = *owed_since_ms else { return true };
    let Ok(moved) = Rc::clone(&world.store).moved_since(since_ms - OVERLAP_MS).await else { return false };
    for (id, seq) in moved {
        posted.moved(&id, seq);
    }
    *owed_since_ms = None;
    true
}

/// Publishes what waits. What the stream did not take waits again.
async fn publish(world: &Rc<World>, posted: &Posted) -> bool {
    while posted.0.changed.try_pop().is_some() {}
    let heads = posted.0.heads.take();
    if heads.is_empty() {
        return true;
    }
    if world.stream.publish(heads.clone()).await.is_ok() {
        return true;
    }
    if world.mistake != Some(Mistake::ForgetUnpublished) {
        for (id, seq) in &heads {
            posted.moved(id, *seq);
        }
    }
    false
}
