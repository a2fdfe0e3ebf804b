//! Milestones as they are recorded, and noted as announced.

use chat_service::{audience::Audience, leftovers::MilestoneName};
use proto::{MatchId, chat::Milestone};

use super::Store;
use crate::network::Away;

impl Store {
    /// The milestones that nobody has noted as announced, with those who are to be told.
    pub(crate) async fn unannounced(&self) -> Result<Vec<(MatchId, Milestone, Audience)>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let left = rows.iter().flat_map(|(id, stored)| {
                let left = stored.milestones.iter().filter(|recorded| !recorded.is_announced);
                left.map(|recorded| (id.clone(), recorded.milestone.clone(), stored.audience.clone()))
            });
            left.collect()
        })
        .await
    }

    /// Notes that these were announced.
    pub(crate) async fn mark_announced(&self, told: Vec<MilestoneName>) -> Result<(), Away> {
        self.trip(|store| {
            for (id, name) in told {
                let mut rows = store.rows.borrow_mut();
                let recorded = rows.get_mut(&id).into_iter().flat_map(|stored| &mut stored.milestones);
                recorded.filter(|of| of.milestone.milestone_id == name).for_each(|of| of.is_announced = true);
            }
        })
        .await
    }
}
