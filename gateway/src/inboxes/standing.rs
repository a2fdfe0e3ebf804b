//! How many connections stand.

use std::sync::{Mutex, PoisonError};

use service_kit::health::Condition;

/// Whether all connections stand.
#[derive(Debug)]
pub(super) struct Standing {
    connected: Condition,
    missing: Mutex<usize>,
}

impl Standing {
    /// Of so many connections none stands yet.
    pub(super) fn new(connected: Condition, connections: usize) -> Self {
        Self { connected, missing: Mutex::new(connections) }
    }

    /// One connection more or less.
    pub(super) fn change(&self, stands: bool) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = if stands { missing.saturating_sub(1) } else { *missing + 1 };
        self.connected.set(*missing == 0);
    }
}
