//! A lane's connection to PostgreSQL, opened when it is needed and missing.

use std::time::Duration;

use service_kit::Lifecycle;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::store::{Session, Store};

/// How long a batch waits for a lost connection: a restart that is quicker goes unnoticed.
const GRACE: Duration = Duration::from_secs(2);
/// What a refusal needs to reach the gateway before the deadline.
const ANSWER_MARGIN: Duration = Duration::from_millis(150);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The session of a lane, if there is one.
#[derive(Debug)]
pub(super) struct Link {
    store: Store,
    lifecycle: Lifecycle,
    session: Option<Session>,
    /// While PostgreSQL is known to be away: when to look again.
    next_attempt: Option<Instant>,
}

impl Link {
    /// Not connected yet.
    pub(super) fn new(store: Store, lifecycle: Lifecycle) -> Self {
        Self { store, lifecycle, session: None, next_attempt: None }
    }

    /// The session, connected anew if need be and possible in time.
    ///
    /// The first batch that finds the connection lost waits for it; those that follow are refused at once until it is back.
    pub(super) async fn session(&mut self, deadline: Instant) -> Option<&Session> {
        if self.session.is_none() {
            self.connect((deadline - ANSWER_MARGIN).min(Instant::now() + GRACE)).await;
        }
        self.session.as_ref()
    }

    /// Closes the connection.
    pub(super) fn lose(&mut self) {
        self.session = None;
    }

    async fn connect(&mut self, give_up_at: Instant) {
        if self.next_attempt.is_some_and(|next| Instant::now() < next) {
            return;
        }
        loop {
            match Session::open(&self.store, &self.lifecycle).await {
                Ok(session) => {
                    if self.next_attempt.take().is_some() {
                        info!("a lane reached PostgreSQL again");
                    }
                    self.session = Some(session);
                    return;
                }
                Err(error) if self.next_attempt.is_some() || Instant::now() + RETRY_PAUSE >= give_up_at => {
                    if self.next_attempt.is_none() {
                        warn!(%error, "a lane refuses messages until PostgreSQL is back");
                    }
                    self.next_attempt = Some(Instant::now() + RETRY_PAUSE);
                    return;
                }
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }
}
