//! The audiences of matches, read before their commands reach a lane.

use proto::{MatchId, UserId};

use crate::{
    audience::{Audience, Remembered},
    store::{Store, StoreError},
};

/// Remembered audiences before the database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Audiences {
    known: Remembered,
    store: Store,
}

impl Audiences {
    /// Remembers nothing yet.
    pub(crate) fn new(store: Store) -> Self {
        Self { known: Remembered::default(), store }
    }

    /// The audience of a match, if the user belongs to it. For a match of others and for one that does not exist the
    /// same is done, so that neither the answer nor its time tells a stranger which it is: only members are remembered.
    pub(crate) async fn of(&self, id: &MatchId, user: &UserId) -> Result<Option<Audience>, StoreError> {
        if let Some(audience) = self.known.with(id, user) {
            return Ok(Some(audience));
        }
        let found = self.store.audience_with(id, user).await?;
        if let Some(audience) = &found {
            self.known.note(id, audience);
        }
        Ok(found)
    }

    /// The audience of a match, for services: they may know every match.
    pub(crate) async fn all(&self, id: &MatchId) -> Result<Option<Audience>, StoreError> {
        if let Some(audience) = self.known.of(id) {
            return Ok(Some(audience));
        }
        let found = self.store.audience(id).await?;
        if let Some(audience) = &found {
            self.known.note(id, audience);
        }
        Ok(found)
    }

    /// Remembers an audience that was read.
    pub(crate) fn note(&self, id: &MatchId, audience: &Audience) {
        self.known.note(id, audience);
    }
}
