//! Which tokens were revoked: every revocation, kept fresh by asking chat-service again and again.

mod round;
mod state;

pub use state::Verdict;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use proto::UserId;
use service_kit::{Lifecycle, health::Condition};

use crate::egress::Services;
use round::Round;
use state::State;

/// How often chat-service is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// All revocations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Revocations {
    state: Arc<RwLock<State>>,
}

impl Revocations {
    /// Keeps up with chat-service until the process is done. `fresh` holds while what is known can be relied on.
    ///
    /// `on_revoked` is called, in order and once for each new revocation, with the user and the Unix time in seconds up to
    /// which issued tokens are refused; it must not block.
    pub fn start(
        services: Services,
        fresh: Condition,
        lifecycle: &Lifecycle,
        on_revoked: impl Fn(&UserId, i64) + Send + Sync + 'static,
    ) -> Self {
        let revocations = Self { state: Arc::default() };
        lifecycle.spawn_background(revocations.clone().keep_up(services, fresh, on_revoked));
        revocations
    }

    /// Whether a token of `user`, issued at a Unix time in seconds, is still good.
    pub fn check(&self, user: &UserId, issued_at_s: i64) -> Verdict {
        self.state.read().unwrap_or_else(PoisonError::into_inner).check(user.as_str(), issued_at_s, Instant::now())
    }

    async fn keep_up(self, services: Services, fresh: Condition, on_revoked: impl Fn(&UserId, i64)) {
        let mut round = Round::since(0);
        loop {
            let asked = Instant::now();
            match services.revocations(round.next_page()).await {
                Ok(page) => {
                    let completed = round.take_in(&page, asked);
                    for (user, not_before_s) in self.write(|state| state.apply(page.revocations)) {
                        on_revoked(&user, not_before_s);
                    }
                    let Some(begun) = completed else { continue };
                    self.write(|state| state.note_complete(begun));
                }
                Err(error) => tracing::debug!(%error, "the revocations are not up to date"),
            }
            fresh.set(self.write(|state| state.is_fresh(Instant::now())));
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}
