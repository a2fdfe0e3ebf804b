//! PostgreSQL as a lane reaches it: by a session that is opened when it is needed and missing.

use std::time::Instant;

use service_kit::Lifecycle;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    batch::Decision,
    lanes::{Part, Reach, TripError, transaction},
    store::{Session, Store},
};

/// The session of a lane, if there is one.
#[derive(Debug)]
pub(super) struct Postgres {
    store: Store,
    lifecycle: Lifecycle,
    session: Option<Session>,
    reach: Reach,
}

impl Postgres {
    /// Not connected yet.
    pub(super) fn new(store: Store, lifecycle: Lifecycle) -> Self {
        Self { store, lifecycle, session: None, reach: Reach::default() }
    }

    /// Tries to commit what a part comes to, on a new session if need be and possible in time.
    pub(super) async fn commit<T>(&mut self, part: &Part<T>, deadline: Instant) -> Result<Decision, TripError> {
        if self.session.is_none() {
            self.connect(deadline).await;
        }
        let session = self.session.as_mut().ok_or(TripError::Away)?;
        let outcome =
            transaction::commit(session, (&part.commands(), &part.audiences()), part.is_locked(), deadline).await;
        if outcome == Err(TripError::Lost) {
            self.session = None;
        }
        outcome
    }

    async fn connect(&mut self, deadline: Instant) {
        let Some(try_until) = self.reach.try_until(deadline, Instant::now()) else { return };
        loop {
            match Session::open(&self.store, &self.lifecycle).await {
                Ok(session) => {
                    if self.reach.reached() {
                        info!("a lane reached PostgreSQL again");
                    }
                    self.session = Some(session);
                    return;
                }
                Err(error) => {
                    let was_away = self.reach.is_away();
                    let Some(pause) = self.reach.failed(try_until, Instant::now()) else {
                        if !was_away {
                            warn!(%error, "a lane refuses what it is asked until PostgreSQL is back");
                        }
                        return;
                    };
                    sleep(pause).await;
                }
            }
        }
    }
}
