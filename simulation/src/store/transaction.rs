//! A lane's connection: one transaction at a time, each in two trips.

use std::{collections::BTreeMap, rc::Rc, time::Instant};

use chat_service::{
    batch::Writes,
    command::Wanted,
    lanes::{
        TripError,
        transaction::{self, Locked},
    },
    room::Head,
};
use proto::{
    MatchId,
    chat::{Change, change::Kind},
};

use super::{IDLE_TIMEOUT, LOCK_TIMEOUT, Lock, Store};
use crate::{
    channel::{Answer, Queue},
    mistake::Mistake,
};

/// A connection to the database.
pub(crate) struct Connection {
    store: Rc<Store>,
    /// The restart that it has not seen.
    restarts: u64,
    open: Option<Open>,
}

/// A transaction that was begun. Dropped, it is rolled back when the server notices.
struct Open {
    store: Rc<Store>,
    transaction: u64,
    ids: Vec<MatchId>,
}

impl Connection {
    /// Connects; `None` while the database is away.
    pub(crate) async fn open(store: &Rc<Store>) -> Option<Self> {
        store.sim.sleep(store.net.delay()).await;
        store.host.is_up().then(|| Self { store: Rc::clone(store), restarts: store.restarts.get(), open: None })
    }

    async fn begin(&mut self, ids: &[&str]) -> Result<BTreeMap<MatchId, Head>, TripError> {
        let store = Rc::clone(&self.store);
        store.sim.sleep(store.net.delay()).await;
        let transaction = store.new_transaction();
        let mut open = Open { store: Rc::clone(&store), transaction, ids: Vec::new() };
        let mut heads = BTreeMap::new();
        for id in ids {
            self.check()?;
            if let Some((id, head)) = store.acquire(id, transaction).await? {
                open.ids.push(id.clone());
                heads.insert(id, head);
            }
        }
        store.sim.sleep(store.net.delay()).await;
        self.check()?;
        self.open = Some(open);
        Ok(heads)
    }

    fn check(&self) -> Result<(), TripError> {
        if self.store.stands(self.restarts) { Ok(()) } else { Err(TripError::Lost) }
    }
}

impl transaction::Connection for Connection {
    async fn advance(&mut self, advances: &BTreeMap<MatchId, i64>) -> Result<BTreeMap<MatchId, Head>, TripError> {
        let ids: Vec<&str> = advances.keys().map(MatchId::as_str).collect();
        let heads = self.begin(&ids).await?;
        // Planted: it does not tell of the last change of the members.
        let forgets = self.store.mistake == Some(Mistake::ForgetMembers);
        let told = |(id, head): (MatchId, Head)| {
            let members_rev = if forgets { self.store.members_rev_before(&id) } else { head.members_rev };
            (id, Head { members_rev, ..head })
        };
        Ok(heads.into_iter().filter(|(_, head)| !head.closed).map(told).collect())
    }

    async fn lock(&mut self, matches: &[(&str, i64)], wanted: &Wanted<'_>) -> Result<Locked, TripError> {
        let ids: Vec<&str> = matches.iter().map(|(id, _)| *id).collect();
        let heads = self.begin(&ids).await?;
        Ok(self.store.find(heads, matches, wanted))
    }

    async fn write(&mut self, writes: &Writes, heads: &BTreeMap<MatchId, Head>) -> Result<(), TripError> {
        let open = self.open.take().ok_or(TripError::Lost)?;
        let (store, writes, heads) = (Rc::clone(&self.store), writes.clone(), heads.clone());
        let (answer, arrives) = Answer::expected();
        let (restarts, delay) = (self.restarts, store.net.delay());
        // What was sent is carried out, whether or not somebody still waits for it.
        let server = Rc::clone(&store);
        store.sim.after(delay, move || {
            let result = server.commit(open, restarts, writes, heads);
            if server.sim.happens(server.net.noise().commit_unknown) {
                return;
            }
            let (at, delay) = (Rc::clone(&server), server.net.delay());
            server.sim.after(delay, move || {
                let is_same = at.restarts.get() == restarts;
                answer.give(if is_same { result } else { Err(TripError::Lost) });
            });
        });
        if self.store.mistake == Some(Mistake::AckBeforeCommit) {
            return Ok(());
        }
        arrives.pop().await.unwrap_or(Err(TripError::Lost))
    }

    async fn roll_back(&mut self) -> Result<(), TripError> {
        self.store.sim.sleep(self.store.net.delay()).await;
        self.open = None;
        Ok(())
    }

    fn now(&self) -> Instant {
        self.store.sim.instant()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (store, transaction, ids) = (Rc::clone(&self.store), self.transaction, std::mem::take(&mut self.ids));
        if !ids.is_empty() {
            let delay = self.store.net.delay();
            self.store.sim.after(delay, move || store.release(transaction, &ids));
        }
    }
}

impl Store {
    /// Waits for the row's lock; `None` when there is no such match.
    async fn acquire(&self, id: &str, transaction: u64) -> Result<Option<(MatchId, Head)>, TripError> {
        let deadline = self.sim.now() + LOCK_TIMEOUT;
        loop {
            let (waiting, since) = (Queue::default(), self.sim.now());
            if let Some(stored) = self.rows.borrow_mut().get_mut(id) {
                if stored.lock.is_none_or(|lock| since > lock.since + IDLE_TIMEOUT) {
                    stored.lock = Some(Lock { transaction, since });
                    let head = Head { now_ms: self.sim.now_ms(), ..stored.head.clone() };
                    return Ok(MatchId::new(id).ok().map(|id| (id, head)));
                }
                stored.waiting.push(waiting.clone());
            } else {
                return Ok(None);
            }
            let left = deadline.saturating_sub(self.sim.now());
            if self.sim.timeout(left, waiting.pop()).await.is_none() {
                return Err(TripError::Stalled);
            }
        }
    }

    /// The version of a match's members before their last change.
    fn members_rev_before(&self, id: &MatchId) -> i64 {
        let rows = self.rows.borrow();
        let is_of_members = |change: &&Change| matches!(change.kind, Some(Kind::Membership(_)));
        rows[id].changes.iter().rev().filter(is_of_members).nth(1).map_or(0, |change| change.rev)
    }

    /// Whether connections from after so many restarts are of use.
    fn stands(&self, restarts: u64) -> bool {
        self.host.is_up() && self.restarts.get() == restarts
    }

    fn commit(
        &self,
        mut open: Open,
        restarts: u64,
        writes: Writes,
        heads: BTreeMap<MatchId, Head>,
    ) -> Result<(), TripError> {
        if !self.stands(restarts) || !self.holds(open.transaction, &open.ids) {
            return Err(TripError::Lost);
        }
        let ids = std::mem::take(&mut open.ids);
        let result = self.apply(writes, heads);
        self.release(open.transaction, &ids);
        result
    }

    fn holds(&self, transaction: u64, ids: &[MatchId]) -> bool {
        let rows = self.rows.borrow();
        let is_held = |lock: Lock| lock.transaction == transaction && lock.since + IDLE_TIMEOUT >= self.sim.now();
        ids.iter().all(|id| rows.get(id).and_then(|stored| stored.lock).is_some_and(is_held))
    }

    fn release(&self, transaction: u64, ids: &[MatchId]) {
        let mut rows = self.rows.borrow_mut();
        for id in ids {
            let Some(stored) = rows.get_mut(id) else { continue };
            if stored.lock.is_some_and(|lock| lock.transaction == transaction) {
                stored.unlock();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use chat_service::lanes::transaction::Connection as _;

    use super::*;
    use crate::{cast::Cast, executor::Sim, network::Network, schedule::Noise};

    #[test]
    fn a_transaction_that_was_idle_for_too_long_keeps_nobody_from_the_match() {
        let (sim, cast, locked) = (Sim::new(1, false), Cast::new(), Rc::new(Cell::new(false)));
        let net = Rc::new(Network::new(&sim, Noise::default()));
        let store = Rc::new(Store::new(&cast, &net, None));
        let (of, id, is_locked) = (Rc::clone(&store), cast.chats[0].id.clone(), Rc::clone(&locked));
        sim.spawn(sim.start(), async move {
            let mut connection = Connection::open(&of).await.unwrap();
            connection.advance(&BTreeMap::from([(id.clone(), 1)])).await.unwrap();
            of.sim.sleep(IDLE_TIMEOUT * 2).await;
            assert_eq!(connection.write(&Writes::default(), &BTreeMap::new()).await, Err(TripError::Lost));
            let mut another = Connection::open(&of).await.unwrap();
            another.lock(&[(id.as_str(), 0)], &Wanted::default()).await.unwrap();
            is_locked.set(true);
        });
        sim.run_until(Duration::from_mins(1));
        assert!(locked.get());
    }
}
