//! Which tokens were revoked: every revocation, kept fresh by asking chat-service again and again. Each answer names
//! the epoch of the database, too.

mod round;
mod state;

pub use state::Verdict;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use gateway_core::epoch::Epoch;
use proto::{
    UserId,
    chat::{Revocation, RevocationsResponse},
};
use service_kit::{Lifecycle, clock, health::Condition};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{egress::Services, failure::Failure};
use round::Round;
use state::State;

/// The pause between two rounds of asking chat-service.
const INTERVAL: Duration = Duration::from_millis(250);
/// The pause after a round that failed: another replica may answer.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// How long the first question waits for its answer: so short that another replica can still be asked within the
/// second.
const FIRST_PATIENCE: Duration = Duration::from_millis(300);
/// How long a question waits at most. Its patience doubles up to here, as a slow answer must come through, too.
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);
/// How long a token waits for a round that can decide it.
const DECIDED_WITHIN: Duration = Duration::from_secs(2);
/// How often expired revocations are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_mins(10);
/// A revocation is kept for so long beyond the longest life of a token: leeway, and clocks that are wrong.
const KEPT_BEYOND: Duration = Duration::from_hours(24);

/// Is told of each new revocation.
type OnRevoked = Arc<dyn Fn(&UserId, &Revocation) + Send + Sync>;

/// All revocations. Cheap to clone.
#[derive(Clone)]
pub struct Revocations {
    state: Arc<RwLock<State>>,
    /// Changes when a round is complete.
    completed: Arc<watch::Sender<()>>,
    /// The database's, as it was named last.
    epoch: Arc<watch::Sender<Option<Epoch>>>,
    on_revoked: OnRevoked,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Revocations {
    /// Nothing is known yet.
    ///
    /// `on_revoked` is called once for each new revocation; it must not block.
    pub fn new(on_revoked: impl Fn(&UserId, &Revocation) + Send + Sync + 'static) -> Self {
        let (state, completed, epoch) = (Arc::default(), Arc::default(), Arc::default());
        Self { state, completed, epoch, on_revoked: Arc::new(on_revoked) }
    }

    /// Keeps up with chat-service until the process is done. `fresh` holds while what is known can be relied on. A
    /// revocation is forgotten when no token of before it can be alive, as none lives for longer than `max_lifetime`.
    pub fn follow(&self, services: Services, fresh: Condition, max_lifetime: Duration, lifecycle: &Lifecycle) {
        lifecycle.spawn_background(self.clone().keep_up(services, fresh, max_lifetime));
    }

    /// Whether a token of `user`, issued at a Unix time in milliseconds, is good by what is known now.
    pub fn check(&self, user: &UserId, issued_at_ms: i64) -> Verdict {
        self.state.read().unwrap_or_else(PoisonError::into_inner).check(user.as_str(), issued_at_ms, Instant::now())
    }

    /// The same, decided by a round of the last second: while there is none, the next one is waited for, 2 s at most.
    pub async fn judge(&self, user: &UserId, issued_at_ms: i64) -> Verdict {
        let mut completed = self.completed.subscribe();
        let decided = async {
            loop {
                match self.check(user, issued_at_ms) {
                    Verdict::Undecided if completed.changed().await.is_ok() => {}
                    verdict => return verdict,
                }
            }
        };
        timeout(DECIDED_WITHIN, decided).await.unwrap_or(Verdict::Undecided)
    }

    /// The database's epoch, as chat-service named it last. It is known before any token counts as valid.
    pub fn epoch(&self) -> Option<Epoch> {
        *self.epoch.borrow()
    }

    /// The same, to be watched.
    pub fn epochs(&self) -> watch::Receiver<Option<Epoch>> {
        self.epoch.subscribe()
    }

    /// Takes in a revocation that this gateway has made, before the next round brings it.
    pub fn note(&self, user: &UserId, not_before_ms: i64) {
        self.take_in(vec![Revocation { user_id: user.to_string(), not_before_ms, changed_ms: clock::unix_ms() }]);
    }

    fn take_in(&self, revocations: Vec<Revocation>) {
        for (user, revocation) in self.write(|state| state.apply(revocations)) {
            (self.on_revoked)(&user, &revocation);
        }
    }

    async fn keep_up(self, services: Services, fresh: Condition, max_lifetime: Duration) {
        let mut round = Round::since(0);
        let mut patience = FIRST_PATIENCE;
        let mut memory = Memory::of(max_lifetime);
        loop {
            let asked = Instant::now();
            let answer = timeout(patience, services.revocations(round.next_page())).await;
            let pause = match answer.unwrap_or_else(|_| Err(Failure::unavailable())) {
                Ok(page) => {
                    patience = FIRST_PATIENCE;
                    self.note_epoch(&page.epoch);
                    let Some(begun) = self.take_in_page(&mut round, page, asked, &mut memory) else { continue };
                    self.write(|state| state.note_complete(begun));
                    self.completed.send_replace(());
                    INTERVAL
                }
                Err(error) => {
                    tracing::debug!(%error, "the revocations are not up to date");
                    patience = LONGEST_PATIENCE.min(patience * 2);
                    PAUSE_AFTER_FAILURE
                }
            };
            fresh.set(self.write(|state| state.is_ready(Instant::now())));
            sleep(pause).await;
        }
    }

    /// Takes in a page that was asked for at `asked`. After a round's last one it returns when the round began.
    fn take_in_page(
        &self,
        round: &mut Round,
        page: RevocationsResponse,
        asked: Instant,
        memory: &mut Memory,
    ) -> Option<Instant> {
        let begun = round.take_in(&page, asked);
        self.take_in(page.revocations);
        if begun.is_some()
            && let Some(before_ms) = memory.forget_before(page.as_of_ms, asked)
        {
            self.write(|state| state.forget(before_ms));
        }
        begun
    }

    /// A chat-service that does not name it changes nothing.
    fn note_epoch(&self, name: &str) {
        if let Some(named) = Epoch::read(name) {
            self.epoch.send_if_modified(|known| known.replace(named) != Some(named));
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long revocations are kept, and when the expired ones were forgotten last.
#[derive(Debug)]
struct Memory {
    kept_ms: i64,
    forgot_at: Option<Instant>,
}

impl Memory {
    fn of(max_lifetime: Duration) -> Self {
        let kept = max_lifetime.saturating_add(KEPT_BEYOND);
        Self { kept_ms: i64::try_from(kept.as_millis()).unwrap_or(i64::MAX), forgot_at: None }
    }

    /// If it is time again to forget: of what is older than which Unix time in milliseconds. `now_ms` is the
    /// database's, as this machine's clock may be set ahead for a while.
    fn forget_before(&mut self, now_ms: i64, now: Instant) -> Option<i64> {
        if self.forgot_at.is_some_and(|at| now.saturating_duration_since(at) < FORGET_INTERVAL) {
            return None;
        }
        self.forgot_at = Some(now);
        Some(now_ms.saturating_sub(self.kept_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_kept_for_a_day_beyond_the_longest_life_of_a_token() {
        let now = Instant::now();
        let mut memory = Memory::of(Duration::from_secs(100));
        assert_eq!(memory.forget_before(1_000_000_000, now), Some(1_000_000_000 - 86_500_000));
        assert_eq!(memory.forget_before(1_000_000_000, now + Duration::from_mins(9)), None);
        assert!(memory.forget_before(1_000_000_000, now + Duration::from_mins(10)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_cannot_be_judged_waits_for_the_next_round_and_not_for_ever() {
        let revocations = Revocations::new(|_, _| ());
        let alice = UserId::new("alice").unwrap();
        assert_eq!(revocations.judge(&alice, 10).await, Verdict::Undecided);
        let complete = async {
            sleep(DECIDED_WITHIN / 2).await;
            revocations.write(|state| state.note_complete(Instant::now()));
            revocations.completed.send_replace(());
        };
        assert_eq!(tokio::join!(revocations.judge(&alice, 10), complete).0, Verdict::Valid);
    }

    #[test]
    fn what_this_gateway_revokes_counts_at_once() {
        let (told, news) = std::sync::mpsc::channel();
        let revocations =
            Revocations::new(move |user, revocation| told.send((user.clone(), revocation.not_before_ms)).unwrap());
        let alice = UserId::new("alice").unwrap();
        revocations.note(&alice, 11_000);
        revocations.note(&alice, 11_000);
        assert_eq!(news.try_iter().collect::<Vec<_>>(), [(alice.clone(), 11_000)]);
        assert_eq!(revocations.check(&alice, 10_999), Verdict::Revoked);
    }
}
