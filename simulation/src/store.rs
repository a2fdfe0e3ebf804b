//! PostgreSQL as its contract: a row lock per match, unique keys, a COMMIT that is all or nothing and whose answer may
//! be lost.
//!
//! What this model leaves out: statements that see each other's snapshots (each of ours that decides holds the row
//! lock), deadlocks (matches are locked in their order), the wait for a standby.

mod facts;
mod milestones;
mod reads;
mod transaction;
mod writes;

pub(crate) use transaction::Connection;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use chat_service::{
    audience::Audience,
    room::Head,
    stored::{Named, Row},
};
use proto::{
    MatchId,
    chat::{Change, Milestone},
};

use crate::{
    cast::Cast,
    channel::Queue,
    executor::Sim,
    host::Host,
    mistake::Mistake,
    network::{Away, Network},
};

/// The name of its history: nobody restores it.
pub(crate) const EPOCH: &str = "sim";
/// How long a lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// A transaction whose client says nothing for so long is ended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database.
pub(crate) struct Store {
    sim: Sim,
    net: Rc<Network>,
    host: Host,
    mistake: Option<Mistake>,
    rows: RefCell<BTreeMap<MatchId, Stored>>,
    /// How often it was restarted: connections of before are of no use.
    restarts: Cell<u64>,
    last_transaction: Cell<u64>,
}

/// A match and all that is keyed by it.
struct Stored {
    audience: Audience,
    head: Head,
    messages: Vec<Row>,
    by_client_id: BTreeMap<(String, String), i64>,
    changes: Vec<Change>,
    commands: Vec<Named>,
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
    pub(crate) fn new(cast: &Cast, net: &Rc<Network>, mistake: Option<Mistake>) -> Self {
        let rows = cast.chats.iter().map(|chat| (chat.id.clone(), Stored::new(cast.audience(chat))));
        Self {
            sim: net.sim().clone(),
            net: Rc::clone(net),
            host: Host::new(net),
            mistake,
            rows: RefCell::new(rows.collect()),
            restarts: Cell::new(0),
            last_transaction: Cell::new(0),
        }
    }

    /// Ends all connections and transactions, and takes none for a while.
    pub(crate) fn restart(&self, lasts: Duration) {
        self.restarts.set(self.restarts.get() + 1);
        self.host.away_for(lasts);
        self.rows.borrow_mut().values_mut().for_each(Stored::unlock);
    }

    /// One trip to the database: `look` happens there, at one moment.
    async fn trip<T>(&self, look: impl FnOnce(&Self) -> T) -> Result<T, Away> {
        self.host.trip(|| Ok(look(self))).await
    }

    fn new_transaction(&self) -> u64 {
        self.last_transaction.set(self.last_transaction.get() + 1);
        self.last_transaction.get()
    }
}

impl Stored {
    fn new(audience: Audience) -> Self {
        Self {
            audience,
            head: Head { last_seq: 0, rev: 0, closed: false, now_ms: 0, members_rev: 0 },
            messages: Vec::new(),
            by_client_id: BTreeMap::new(),
            changes: Vec::new(),
            commands: Vec::new(),
            milestones: Vec::new(),
            lock: None,
            waiting: Vec::new(),
        }
    }

    fn members(&self) -> Vec<String> {
        self.audience.members().iter().map(ToString::to_string).collect()
    }

    fn row(&self, seq: i64) -> Option<&Row> {
        self.messages.get(usize::try_from(seq - 1).ok()?)
    }

    /// Lets the next one have the lock.
    fn unlock(&mut self) {
        self.lock = None;
        self.waiting.drain(..).for_each(|waiting| waiting.push(()));
    }
}
