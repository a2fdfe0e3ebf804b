//! A lane's connection: one transaction at a time, each in two trips, as `chat-service`'s session has it.

use std::{collections::BTreeMap, rc::Rc};

use chat_service::{
    batch::Keys,
    room::{Head, Row},
};
use proto::MatchId;

use super::{IDLE_TIMEOUT, LOCK_TIMEOUT, Lock, Store};
use crate::{channel::Answer, channel::Queue, mistake::Mistake};

/// Why a transaction did not commit, or may not have; as in chat-service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TripError {
    /// A row is stored already.
    Duplicate,
    /// A lock was not to be had in time.
    Stalled,
    /// The connection is gone: whether the transaction committed is unknown.
    Lost,
    /// The deadline passed before the COMMIT.
    Expired,
}

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

/// Matches under lock, and the stored rows that were asked for.
pub(crate) struct Locked {
    pub(crate) heads: BTreeMap<MatchId, Head>,
    pub(crate) rows: Vec<Row>,
}

impl Connection {
    /// Connects; `None` while the database is away.
    pub(crate) async fn open(store: &Rc<Store>) -> Option<Self> {
        store.sim.sleep(store.net.delay()).await;
        store.is_up().then(|| Self { store: Rc::clone(store), restarts: store.restarts.get(), open: None })
    }

    /// Begins a transaction and moves the heads of the open matches; returns where these stood before.
    pub(crate) async fn advance(
        &mut self,
        advances: &BTreeMap<MatchId, i64>,
    ) -> Result<BTreeMap<MatchId, Head>, TripError> {
        let ids: Vec<MatchId> = advances.keys().cloned().collect();
        let heads = self.begin(&ids).await?;
        Ok(heads.into_iter().filter(|(_, head)| !head.closed).collect())
    }

    /// Begins a transaction, locks the matches in their order, and finds the rows that are stored under `keys`.
    pub(crate) async fn lock(&mut self, ids: &[MatchId], keys: &Keys<'_>) -> Result<Locked, TripError> {
        let heads = self.begin(ids).await?;
        let stored = self.store.rows.borrow();
        let found = keys.by_client_id.iter().filter_map(|(id, sender, client_id)| {
            let stored = stored.get(*id)?;
            let seq = stored.by_client_id.get(&((*sender).to_owned(), (*client_id).to_owned()))?;
            stored.messages.get(usize::try_from(seq - 1).ok()?).cloned()
        });
        let rows = found.collect();
        Ok(Locked { heads, rows })
    }

    /// Inserts the rows and commits. Only `Ok` says that they are stored; after [`TripError::Lost`] nobody knows.
    pub(crate) async fn insert(&mut self, rows: Vec<Row>) -> Result<(), TripError> {
        let open = self.open.take().ok_or(TripError::Lost)?;
        let store = Rc::clone(&self.store);
        let (answer, arrives) = Answer::expected();
        let (restarts, delay) = (self.restarts, store.net.delay());
        // What was sent is carried out, whether or not somebody still waits for it.
        let at_server = Rc::clone(&store);
        store.sim.after(delay, move || {
            let result = at_server.commit(open, restarts, rows);
            if !at_server.sim.happens(at_server.net.noise().commit_unknown) {
                answer_later(&at_server, restarts, answer, result);
            }
        });
        arrives.await.unwrap_or(Err(TripError::Lost))
    }

    /// Ends the transaction without a trace.
    pub(crate) async fn roll_back(&mut self) {
        self.store.sim.sleep(self.store.net.delay()).await;
        self.open = None;
    }

    async fn begin(&mut self, ids: &[MatchId]) -> Result<BTreeMap<MatchId, Head>, TripError> {
        let store = Rc::clone(&self.store);
        store.sim.sleep(store.net.delay()).await;
        let transaction = store.new_transaction();
        let mut open = Open { store: Rc::clone(&store), transaction, ids: Vec::new() };
        let mut heads = BTreeMap::new();
        for id in ids {
            self.check()?;
            if store.acquire(id, transaction).await? {
                open.ids.push(id.clone());
                heads.extend(store.locked_head(id));
            }
        }
        store.sim.sleep(store.net.delay()).await;
        self.check()?;
        self.open = Some(open);
        Ok(heads)
    }

    fn check(&self) -> Result<(), TripError> {
        let stands = self.store.is_up() && self.store.restarts.get() == self.restarts;
        if stands { Ok(()) } else { Err(TripError::Lost) }
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

fn answer_later(
    store: &Rc<Store>,
    restarts: u64,
    answer: Answer<Result<(), TripError>>,
    result: Result<(), TripError>,
) {
    let (at, delay) = (Rc::clone(store), store.net.delay());
    store.sim.after(delay, move || {
        let is_same = at.restarts.get() == restarts;
        answer.give(if is_same { result } else { Err(TripError::Lost) });
    });
}

impl Store {
    /// Waits for the row's lock; false when there is no such match.
    async fn acquire(&self, id: &MatchId, transaction: u64) -> Result<bool, TripError> {
        let deadline = self.sim.now() + LOCK_TIMEOUT;
        loop {
            let waiting = {
                let mut rows = self.rows.borrow_mut();
                let Some(stored) = rows.get_mut(id) else { return Ok(false) };
                let since = self.sim.now();
                if stored.lock.is_none_or(|lock| since > lock.since + IDLE_TIMEOUT) {
                    stored.lock = Some(Lock { transaction, since });
                    return Ok(true);
                }
                let waiting = Queue::default();
                stored.waiting.push(waiting.clone());
                waiting
            };
            let left = deadline.saturating_sub(self.sim.now());
            if self.sim.timeout(left, waiting.pop()).await.is_none() {
                return Err(TripError::Stalled);
            }
        }
    }

    fn locked_head(&self, id: &MatchId) -> Option<(MatchId, Head)> {
        let rows = self.rows.borrow();
        let stored = rows.get(id)?;
        Some((id.clone(), Head { last_seq: stored.last_seq, closed: stored.closed, now_ms: self.sim.now_ms() }))
    }

    fn commit(&self, mut open: Open, restarts: u64, rows: Vec<Row>) -> Result<(), TripError> {
        if !self.is_up() || self.restarts.get() != restarts || !self.holds(open.transaction, &open.ids) {
            return Err(TripError::Lost);
        }
        let ids = std::mem::take(&mut open.ids);
        let result = self.apply(rows);
        self.release(open.transaction, &ids);
        result
    }

    fn holds(&self, transaction: u64, ids: &[MatchId]) -> bool {
        let rows = self.rows.borrow();
        let is_held = |lock: Lock| lock.transaction == transaction && lock.since + IDLE_TIMEOUT >= self.sim.now();
        ids.iter().all(|id| rows.get(id).and_then(|stored| stored.lock).is_some_and(is_held))
    }

    /// All rows or none, by the unique keys.
    fn apply(&self, rows: Vec<Row>) -> Result<(), TripError> {
        let mut stored = self.rows.borrow_mut();
        let is_unique = |row: &Row| {
            stored.get(row.message.match_id.as_str()).is_some_and(|stored| {
                let key = (row.message.sender_id.clone(), row.message.client_id.clone());
                !stored.by_client_id.contains_key(&key) && stored.message(row.message.seq).is_none()
            })
        };
        if self.mistake != Some(Mistake::NoDedupe) && !rows.iter().all(is_unique) {
            return Err(TripError::Duplicate);
        }
        for row in rows {
            let Some(stored) = stored.get_mut(row.message.match_id.as_str()) else { continue };
            self.promises.stored(&row.message);
            stored.last_seq = row.message.seq;
            let key = (row.message.sender_id.clone(), row.message.client_id.clone());
            stored.by_client_id.insert(key, row.message.seq);
            stored.messages.push(row);
        }
        Ok(())
    }

    fn release(&self, transaction: u64, ids: &[MatchId]) {
        let mut rows = self.rows.borrow_mut();
        for id in ids {
            let Some(stored) = rows.get_mut(id) else { continue };
            if stored.lock.is_some_and(|lock| lock.transaction == transaction) {
                stored.lock = None;
                stored.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;
    use crate::{cast::Cast, executor::Sim, network::Network, promises::Promises, schedule::Noise};

    #[test]
    fn a_transaction_that_was_idle_for_too_long_keeps_nobody_from_closing_the_match() {
        let (sim, cast, closed) = (Sim::new(1, false), Cast::new(), Rc::new(Cell::new(false)));
        let net = Rc::new(Network::new(&sim, Noise::default()));
        let store = Rc::new(Store::new(&cast, &net, &Rc::new(Promises::new(&sim)), None));
        let (of, id, is_closed) = (Rc::clone(&store), cast.chats[0].id.clone(), Rc::clone(&closed));
        sim.spawn(sim.start(), async move {
            let mut connection = Connection::open(&of).await.unwrap();
            connection.advance(&BTreeMap::from([(id.clone(), 1)])).await.unwrap();
            of.sim.sleep(IDLE_TIMEOUT * 2).await;
            assert_eq!(connection.insert(Vec::new()).await, Err(TripError::Lost));
            of.close_match(id).await.unwrap();
            is_closed.set(true);
        });
        sim.run_until(Duration::from_mins(1));
        assert!(closed.get());
    }
}
