//! Users' inboxes: a few connections to NATS that do nothing but subscribe.
//!
//! A subscription of async-nats has a channel of its own, some 6 KB of memory, and needs a task that listens to it.
//! Here a subscription is a number: one task per connection reads what comes and gives it to its [`Listener`] where it
//! lies. Each user belongs to one of the connections for good, so that what it hears keeps its order.
//!
//! `protocol` is what is said, `stream` a connection to a server, `link` what goes over it, `dialogue` its rules,
//! `connection` the task that always has one, `leaving` its change to another server; `interest` is what users want of
//! it. Everything else on NATS goes by [`service_kit::bus::Bus`].

mod connection;
mod dialogue;
mod interest;
mod leaving;
mod link;
mod overlap;
mod protocol;
mod requests;
mod servers;
mod stream;

pub use protocol::{Headers, Message};

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use proto::{
    InboxKind, UserId,
    partition::fnv1a,
    subjects::{RequestSubject, Subjects},
};
use service_kit::{Lifecycle, NatsConfig, bus::BusError, health::Condition};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use connection::Connection;
use interest::Interest;
use requests::Requests;
use servers::Servers;

/// So many cores share a connection: the fewer there are, the more is read, and written, at once.
const CORES_PER_CONNECTION: usize = 4;
/// Most connections of one gateway.
const MAX_CONNECTIONS: usize = 8;

/// Hears what the inboxes of one connection receive, in order, called by the connection's task: it must not block.
pub trait Listener: Send + 'static {
    /// A message to a user's inbox.
    fn hear(&mut self, message: &Message<'_>);

    /// Called a few times a second.
    fn tick(&mut self, now: Instant);

    /// Names each user whose inbox is to be subscribed, with the number of its subscription.
    fn each(&self, subscribe: &mut dyn FnMut(&UserId, u64));
}

/// The inboxes of the users who are connected here. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inboxes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    subjects: Subjects,
    /// One per connection.
    interests: Vec<Arc<Interest>>,
    requests: Vec<Arc<Requests>>,
    disturbances: watch::Sender<u64>,
}

/// A subscription did not stand in time, as the servers cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("NATS does not confirm the subscription of an inbox")]
pub struct NotSubscribed;

/// Why a link to a server ended, or did not come about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Lost {
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(String),
    #[error("the server is silent")]
    Silent,
    #[error("the server complains: {0}")]
    Refused(String),
    #[error("the server does not speak the protocol: {0}")]
    Malformed(#[from] protocol::Violation),
}

impl Lost {
    fn refused(error: &str) -> Self {
        Self::Refused(error.to_owned())
    }

    /// For metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Failed(_) => "failed",
            Self::Silent => "silent",
            Self::Refused(_) => "refused",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Inboxes {
    /// The inboxes behind a prefix of all subjects, spread over one connection for every few cores.
    pub fn new(prefix: &str) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::spread_over((cores / CORES_PER_CONNECTION).min(MAX_CONNECTIONS), prefix)
    }

    /// The same with a number of connections, at least one.
    pub fn spread_over(connections: usize, prefix: &str) -> Self {
        let interests: Vec<_> = (0..connections.max(1)).map(|_| Arc::default()).collect();
        let requests = interests.iter().map(|_| Arc::new(Requests::new())).collect();
        let (subjects, disturbances) = (Subjects::new(prefix), watch::Sender::new(0));
        Self(Arc::new(Shared { subjects, interests, requests, disturbances }))
    }

    /// Connects. `connected` tells whether all connections stand; `listener` makes the listener of each. It ends with
    /// `over`.
    pub fn start<L: Listener>(
        &self,
        config: &NatsConfig,
        connected: Condition,
        (lifecycle, over): (&Lifecycle, &CancellationToken),
        mut listener: impl FnMut() -> L,
    ) {
        let standing = Arc::new(Standing { connected, missing: Mutex::new(self.0.interests.len()) });
        for index in 0..self.0.interests.len() {
            let (servers, standing) = (Servers::new(config), Arc::clone(&standing));
            let connection = Connection::new((self.clone(), index), servers, listener(), standing);
            lifecycle.spawn_essential("inboxes", connection.run(over.clone()));
        }
    }

    /// Wants a user's inbox from now on; returns the number of its subscription.
    pub fn subscribe(&self, user: &UserId) -> u64 {
        self.interest_of(user).add(self.0.subjects.inbox(user).as_str())
    }

    /// Wants it no more.
    pub fn unsubscribe(&self, user: &UserId, sid: u64) {
        self.interest_of(user).remove(sid);
    }

    /// Waits until a server has the subscription, within bounds: what is published there from then on is heard.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn subscribed(&self, user: &UserId, sid: u64) -> Result<(), NotSubscribed> {
        self.interest_of(user).proven(sid).await
    }

    /// Asks whoever serves the subject and waits for the answer at most `patience`. The request goes over the
    /// connection of the user's inbox, so that its answer and what the user hears of it are read together.
    ///
    /// # Errors
    /// `NoResponders` also while no server is connected: nobody was asked.
    pub async fn request<Q: prost::Message, R: prost::Message + Default>(
        &self,
        user: &str,
        subject: &RequestSubject<Q, R>,
        request: &Q,
        patience: Duration,
    ) -> Result<R, BusError> {
        self.0.requests[self.connection_of(user)].ask(subject, request, patience).await
    }

    /// Whose inbox a subject is, and of which kind, if that is known here.
    pub fn named<'a>(&self, subject: &'a str) -> Option<(&'a str, Option<InboxKind>)> {
        self.0.subjects.inbox_named(subject)
    }

    /// Changes whenever something may have been missed.
    pub fn disturbances(&self) -> watch::Receiver<u64> {
        self.0.disturbances.subscribe()
    }

    fn interest_of(&self, user: &UserId) -> &Interest {
        &self.0.interests[self.connection_of(user.as_str())]
    }

    fn connection_of(&self, user: &str) -> usize {
        let count = self.0.interests.len() as u64;
        usize::try_from(fnv1a(user.as_bytes()) % count).unwrap_or_default()
    }
}

/// Whether all connections stand.
#[derive(Debug)]
struct Standing {
    connected: Condition,
    missing: Mutex<usize>,
}

impl Standing {
    /// One connection more or less.
    fn change(&self, stands: bool) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = if stands { missing.saturating_sub(1) } else { *missing + 1 };
        self.connected.set(*missing == 0);
    }
}
