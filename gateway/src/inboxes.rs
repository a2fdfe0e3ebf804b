//! Users' inboxes: a few connections to NATS that do nothing but subscribe.
//!
//! A subscription of async-nats has a channel of its own, some 6 KB of memory, and needs a task that listens to it.
//! Here a subscription is a number: one task per connection reads what comes and gives it to its [`Listener`] where it
//! lies. Each user belongs to one of the connections for good, so that what it hears keeps its order.
//!
//! `protocol` is what is said, `stream` a connection to a server, `link` what goes over it, `dialogue` its rules,
//! `connection` the task that always has one, `leaving` its change to another server; `interest` is what users want of
//! it, `listener` who hears it. Everything else on NATS goes by [`service_kit::bus::Bus`].

mod connecting;
mod connection;
mod dialogue;
mod interest;
mod leaving;
mod link;
mod listener;
mod lost;
mod overlap;
mod protocol;
mod requests;
mod servers;
mod shared;
mod standing;
mod stream;

pub use interest::NotSubscribed;
pub use listener::Listener;
pub use protocol::{Headers, Message};

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use proto::{
    InboxKind, UserId,
    inbox::{PresenceAnswer, PresenceAsked, SoftEvent, soft_event::Event},
    subjects::{RequestSubject, Subjects},
};
use service_kit::{Lifecycle, NatsConfig, bus::BusError, health::Condition};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use connection::Connection;
use interest::Interest;
use requests::Requests;
use servers::Servers;
use shared::Shared;
use standing::Standing;

/// So many cores share a connection: the fewer there are, the more is read, and written, at once.
const CORES_PER_CONNECTION: usize = 4;
/// Most connections of one gateway.
const MAX_CONNECTIONS: usize = 8;

/// The inboxes of the users who are connected here. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inboxes(Arc<Shared>);

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
        let standing = Arc::new(Standing::new(connected, self.0.interests.len()));
        for index in 0..self.0.interests.len() {
            let (servers, standing) = (Servers::new(config), Arc::clone(&standing));
            let connection = Connection::new((Arc::clone(&self.0), index), servers, listener(), standing);
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

    /// Wants to hear of a user's presence from now on; returns the number of the subscription.
    pub fn watch(&self, user: &UserId) -> u64 {
        self.interest_of(user).add(self.0.subjects.presence(user).as_str())
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
        self.0.requests[self.0.connection_of(user)].ask(subject, request, patience).await
    }

    /// As [`request`](Self::request), of who has a user. `Unavailable` while no server is connected: that nobody
    /// answered proves something only if somebody was asked.
    ///
    /// # Errors
    /// `NoResponders` if no gateway has the user.
    pub async fn ask_presence(&self, user: &UserId, patience: Duration) -> Result<PresenceAnswer, BusError> {
        let subject = self.0.subjects.presence_question(user);
        let asked = SoftEvent { event: Some(Event::PresenceAsked(PresenceAsked {})) };
        let requests = &self.0.requests[self.0.connection_of(user.as_str())];
        requests.ask_if_linked(&subject, &asked, patience).await.unwrap_or(Err(BusError::Unavailable))
    }

    /// Whose presence a subject tells.
    pub fn presence_named<'a>(&self, subject: &'a str) -> Option<&'a str> {
        self.0.subjects.presence_named(subject)
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
        &self.0.interests[self.0.connection_of(user.as_str())]
    }
}
