//! Where a store runs: a trip away, and at times not to be reached.

use std::{cell::Cell, rc::Rc, time::Duration};

use crate::network::{Away, Network};

/// The server of a store.
pub(crate) struct Host {
    net: Rc<Network>,
    up_at: Cell<Duration>,
}

impl Host {
    pub(crate) fn new(net: &Rc<Network>) -> Self {
        Self { net: Rc::clone(net), up_at: Cell::default() }
    }

    /// Nobody reaches it for a while.
    pub(crate) fn away_for(&self, lasts: Duration) {
        self.up_at.set(self.up_at.get().max(self.net.sim().now() + lasts));
    }

    /// Whether it answers.
    pub(crate) fn is_up(&self) -> bool {
        self.up_at.get() <= self.net.sim().now()
    }

    /// One trip: `act` happens there, at one moment.
    pub(crate) async fn trip<T>(&self, act: impl FnOnce() -> Result<T, Away>) -> Result<T, Away> {
        self.net.sim().sleep(self.net.delay()).await;
        if !self.is_up() {
            return Err(Away);
        }
        let result = act()?;
        self.net.sim().sleep(self.net.delay()).await;
        Ok(result)
    }
}
