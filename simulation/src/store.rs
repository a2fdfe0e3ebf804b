//! PostgreSQL as its contract: a row lock per match, unique keys, a COMMIT that is all or nothing and whose answer may
//! be lost.
//!
//! What this model leaves out: statements that see each other's snapshots (each of ours that decides holds the row
//! lock), deadlocks (matches are locked in their order), the wait for a standby.

mod changes;
mod milestones;
mod reads;
mod transaction;
mod writes;

pub(crate) use reads::Snapshot;
pub(crate) use transaction::Connection;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use chat_service::{
    audience::Audience,
    room::{Head, Row},
};
use proto::{
    MatchId,
    chat::{Change, Message, Milestone},
};

use crate::{cast::Cast, channel::Queue, executor::Sim, mistake::Mistake, network::Network, promises::Promises};

/// The name of its history: nobody restores it.
pub(crate) const EPOCH: &str = "sim";
/// How long a lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// A transaction whose client says nothing for so long is ended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database.
pub(crate) struct Store {
    pub(crate) sim: Sim,
    pub(crate) net: Rc<Network>,
    pub(crate) promises: Rc<Promises>,
    pub(crate) mistake: Option<Mistake>,
    rows: RefCell<BTreeMap<MatchId, Stored>>,
    /// How often it was restarted: connections of before are of no use.
    restarts: Cell<u64>,
    up_at: Cell<Duration>,
    last_transaction: Cell<u64>,
}

/// A match and all that is keyed by it.
struct Stored {
    audience: Audience,
    head: Head,
    messages: Vec<Row>,
    by_client_id: BTreeMap<(String, String), i64>,
    changes: Vec<Change>,
    milestones: Vec<Recorded>,
    lock: Option<Lock>,
    waiting: Vec<Queue<()>>,
}

/// Who holds a match's row.
#[derive(Clone, Copy)]
struct Lock {
    transaction: u64,
    since: Duration,
}

struct Recorded {
    milestone: Milestone,
    is_announced: bool,
}

impl Store {
    pub(crate) fn new(cast: &Cast, net: &Rc<Network>, promises: &Rc<Promises>, mistake: Option<Mistake>) -> Self {
        let stored = |chat: &crate::cast::Chat| Stored {
            audience: cast.audience(chat),
            head: Head { last_seq: 0, rev: 0, closed: false, now_ms: 0, members_rev: 0 },
            messages: Vec::new(),
            by_client_id: BTreeMap::new(),
            changes: Vec::new(),
            milestones: Vec::new(),
            lock: None,
            waiting: Vec::new(),
        };
        Self {
            sim: net.sim().clone(),
            net: Rc::clone(net),
            promises: Rc::clone(promises),
            mistake,
            rows: RefCell::new(cast.chats.iter().map(|chat| (chat.id.clone(), stored(chat))).collect()),
            restarts: Cell::new(0),
            up_at: Cell::default(),
            last_transaction: Cell::new(0),
        }
    }

    /// Ends all connections and transactions, and takes none for a while.
    pub(crate) fn restart(&self, lasts: Duration) {
        self.restarts.set(self.restarts.get() + 1);
        self.up_at.set(self.up_at.get().max(self.sim.now() + lasts));
        for stored in self.rows.borrow_mut().values_mut() {
            stored.lock = None;
            stored.wake();
        }
    }

    /// The committed message with this seq.
    pub(crate) fn message(&self, id: &MatchId, seq: i64) -> Option<Message> {
        self.rows.borrow().get(id)?.message(seq)
    }

    /// How far the match has come, how many milestones it has, and whether it is closed.
    pub(crate) fn head(&self, id: &MatchId) -> (i64, usize, bool) {
        self.rows
            .borrow()
            .get(id)
            .map_or((0, 0, false), |stored| (stored.head.last_seq, stored.milestones.len(), stored.head.closed))
    }

    fn is_up(&self) -> bool {
        self.up_at.get() <= self.sim.now()
    }

    fn new_transaction(&self) -> u64 {
        self.last_transaction.set(self.last_transaction.get() + 1);
        self.last_transaction.get()
    }
}

impl Stored {
    fn members(&self) -> Vec<String> {
        self.audience.members().iter().map(ToString::to_string).collect()
    }

    fn message(&self, seq: i64) -> Option<Message> {
        let index = usize::try_from(seq - 1).ok()?;
        self.messages.get(index).map(|row| row.message.clone())
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(|waiting| waiting.push(()));
    }
}
