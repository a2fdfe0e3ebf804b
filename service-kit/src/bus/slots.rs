//! Room for requests, by their number and by their size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests are served at once, and how large they may be together, on all subjects that share it. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Slots {
    requests: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// Held while a request is served.
#[derive(Debug)]
pub(super) struct Slot {
    _request: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Slots {
    /// Room for `limit` requests of any size.
    pub fn new(limit: usize) -> Self {
        Self::within(limit, Semaphore::MAX_PERMITS)
    }

    /// Room for `limit` requests that have `kib` KiB together.
    pub fn within(limit: usize, kib: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limit)),
            kib: Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Room for a request of so many bytes, at once or after a wait. The semaphores are never closed.
    pub(super) async fn room(&self, bytes: usize, waits: bool) -> Option<Slot> {
        if !waits {
            return self.try_take(bytes);
        }
        let request = self.requests.clone().acquire_owned().await.ok()?;
        let kib = self.kib.clone().acquire_many_owned(kib_of(bytes)).await.ok()?;
        Some(Slot { _request: request, _kib: kib })
    }

    /// Takes room if there is some.
    fn try_take(&self, bytes: usize) -> Option<Slot> {
        let request = self.requests.clone().try_acquire_owned().ok()?;
        let kib = self.kib.clone().try_acquire_many_owned(kib_of(bytes)).ok()?;
        Some(Slot { _request: request, _kib: kib })
    }
}

fn kib_of(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_by_number_and_by_size_and_comes_back() {
        let slots = Slots::within(3, 10);
        let large = slots.try_take(8 * 1024).unwrap();
        let small = slots.try_take(1).unwrap();
        assert!(slots.try_take(1).is_none(), "by size");
        drop(large);
        let others: Vec<_> = [1, 1].into_iter().filter_map(|bytes| slots.try_take(bytes)).collect();
        assert_eq!(others.len(), 2);
        assert!(slots.try_take(1).is_none(), "by number");
        drop((small, others));
        assert!(slots.try_take(9 * 1024).is_some());
    }
}
