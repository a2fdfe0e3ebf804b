//! The tasks of the executor, and how they are woken.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

/// A process of the simulated world: its tasks die and freeze together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId(pub(super) usize);

/// The number of a task, which no other ever has.
pub(super) type TaskId = u64;

/// The tasks that were woken, in that order.
pub(super) type Ready = Arc<Mutex<VecDeque<TaskId>>>;

/// A future that is polled when it was woken.
pub(super) struct Task {
    pub(super) process: ProcessId,
    pub(super) future: Pin<Box<dyn Future<Output = ()>>>,
    pub(super) waker: Waker,
}

struct Wakes {
    id: TaskId,
    ready: Ready,
}

impl Task {
    pub(super) fn new(
        id: TaskId,
        process: ProcessId,
        future: impl Future<Output = ()> + 'static,
        ready: &Ready,
    ) -> Self {
        let waker = Waker::from(Arc::new(Wakes { id, ready: Arc::clone(ready) }));
        Self { process, future: Box::pin(future), waker }
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.id);
    }
}
