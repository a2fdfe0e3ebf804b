//! Milestones: recorded once for ever, and claimed to be announced.

use std::rc::Rc;

use proto::{MatchId, chat::Milestone};

use super::{Recorded, Store};
use crate::network::Away;

/// Milestones that only this claim may announce, until it is settled or dropped.
pub(crate) struct Claim {
    store: Rc<Store>,
    number: u64,
    restarts: u64,
    pub(crate) milestones: Vec<(MatchId, Milestone)>,
}

impl Store {
    /// Records a milestone; false when the match has fewer messages.
    pub(crate) async fn record_milestone(
        self: Rc<Self>,
        id: MatchId,
        milestone_id: String,
        threshold: i64,
    ) -> Result<bool, Away> {
        self.trip(|store| {
            let mut rows = store.rows.borrow_mut();
            let Some(stored) = rows.get_mut(&id) else { return true };
            if stored.last_seq < threshold {
                return false;
            }
            if stored.milestones.iter().all(|recorded| recorded.milestone.milestone_id != milestone_id) {
                stored.rev += 1;
                let (rev, after_seq) = (stored.rev, stored.last_seq);
                let reaching = stored.messages.iter().find(|row| row.message.seq == threshold);
                let reached_at_ms = reaching.map_or(0, |row| row.message.created_at_ms);
                let milestone =
                    Milestone { milestone_id, rev, threshold, reached_at_ms, after_seq, unlocks: Vec::new() };
                stored.milestones.push(Recorded { milestone, is_announced: false, claimed_by: None });
            }
            true
        })
        .await
    }

    /// What is recorded of a match: each milestone's threshold, and whether it was announced.
    pub(crate) fn milestones(&self, id: &MatchId) -> Vec<(i64, bool)> {
        let rows = self.rows.borrow();
        let recorded = rows.get(id).into_iter().flat_map(|stored| &stored.milestones);
        recorded.map(|recorded| (recorded.milestone.threshold, recorded.is_announced)).collect()
    }

    /// Claims the milestones (only those of `only`, if given) that nobody has announced and nobody else is announcing.
    pub(crate) async fn claim_unannounced(self: &Rc<Self>, only: Option<&MatchId>) -> Result<Claim, Away> {
        let mut claim = Claim {
            store: Rc::clone(self),
            number: self.new_transaction(),
            restarts: self.restarts.get(),
            milestones: Vec::new(),
        };
        let claimed = &mut claim.milestones;
        let number = claim.number;
        self.trip(|store| {
            let mut rows = store.rows.borrow_mut();
            for (id, stored) in rows.iter_mut().filter(|(id, _)| only.is_none_or(|only| *id == only)) {
                for recorded in stored.milestones.iter_mut().filter(|recorded| !recorded.is_announced) {
                    if recorded.claimed_by.is_none() {
                        recorded.claimed_by = Some(number);
                        claimed.push((id.clone(), recorded.milestone.clone()));
                    }
                }
            }
        })
        .await?;
        Ok(claim)
    }
}

impl Claim {
    /// Notes that all of them were announced.
    pub(crate) async fn settle(self) -> Result<(), Away> {
        let settled = self.store.trip(|store| {
            if store.restarts.get() != self.restarts {
                return;
            }
            for stored in store.rows.borrow_mut().values_mut() {
                for recorded in stored.milestones.iter_mut().filter(|of| of.claimed_by == Some(self.number)) {
                    recorded.is_announced = true;
                }
            }
        });
        settled.await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (store, number) = (Rc::clone(&self.store), self.number);
        self.store.sim.after(self.store.net.delay(), move || {
            for stored in store.rows.borrow_mut().values_mut() {
                for recorded in stored.milestones.iter_mut().filter(|of| of.claimed_by == Some(number)) {
                    recorded.claimed_by = None;
                }
            }
        });
    }
}
