//! Who belongs to a match. Members never change, so what was read once stays true.

use std::sync::Arc;

use proto::{MatchId, UserId};
use quick_cache::sync::Cache;

use crate::store::{Store, StoreError};

/// About 20 MB of ids.
const CAPACITY: usize = 100_000;

/// The two members of a match.
pub(crate) type Pair = Arc<[UserId]>;

/// A bounded memory of pairs before the database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    known: Arc<Cache<MatchId, Pair>>,
    store: Store,
}

impl Members {
    /// Remembers nothing yet.
    pub(crate) fn new(store: Store) -> Self {
        Self { known: Arc::new(Cache::new(CAPACITY)), store }
    }

    /// The members of a match, if the user is one of them. For a match of others and for one that does not exist the
    /// same is done, so that neither the answer nor its time tells a stranger which it is: only members are remembered.
    pub(crate) async fn of(&self, id: &MatchId, user: &UserId) -> Result<Option<Pair>, StoreError> {
        if let Some(pair) = self.known.get(id).filter(|pair| pair.contains(user)) {
            return Ok(Some(pair));
        }
        let Some(members) = self.store.members_with(id, user).await? else { return Ok(None) };
        let pair: Pair = members.into();
        self.known.insert(id.clone(), pair.clone());
        Ok(Some(pair))
    }

    /// The members of a match, for services: they may know every match.
    pub(crate) async fn all(&self, id: &MatchId) -> Result<Option<Pair>, StoreError> {
        if let Some(pair) = self.known.get(id) {
            return Ok(Some(pair));
        }
        let Some(members) = self.store.members(id).await? else { return Ok(None) };
        let pair: Pair = members.into();
        self.known.insert(id.clone(), pair.clone());
        Ok(Some(pair))
    }
}
