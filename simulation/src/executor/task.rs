//! The tasks of the executor, and how they are woken.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

use super::ProcessId;

/// The tasks that were woken, in that order.
pub(super) type Ready = Arc<Mutex<VecDeque<TaskId>>>;

/// A task, for ever: the number of a place that is used again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskId {
    place: usize,
    generation: u64,
}

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

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.id);
    }
}

struct Place {
    generation: u64,
    process: ProcessId,
    /// Absent while it is polled.
    task: Option<Task>,
    is_free: bool,
}

/// All tasks.
#[derive(Default)]
pub(super) struct Tasks {
    places: Vec<Place>,
    free: Vec<usize>,
}

impl Tasks {
    pub(super) fn insert(
        &mut self,
        process: ProcessId,
        future: Pin<Box<dyn Future<Output = ()>>>,
        ready: &Ready,
    ) -> TaskId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, process, task: None, is_free: true });
            self.places.len() - 1
        });
        let kept = &mut self.places[place];
        kept.generation += 1;
        let id = TaskId { place, generation: kept.generation };
        let waker = Waker::from(Arc::new(Wakes { id, ready: Arc::clone(ready) }));
        (kept.process, kept.is_free) = (process, false);
        kept.task = Some(Task { process, future, waker });
        id
    }

    pub(super) fn process_of(&self, id: TaskId) -> Option<ProcessId> {
        let place = &self.places[id.place];
        (!place.is_free && place.generation == id.generation && place.task.is_some()).then_some(place.process)
    }

    pub(super) fn take(&mut self, id: TaskId) -> Option<Task> {
        self.places[id.place].task.take()
    }

    /// Puts a task back after its poll; returns it if it is over.
    pub(super) fn put_back(&mut self, id: TaskId, task: Task, is_over: bool) -> Option<Task> {
        let place = &mut self.places[id.place];
        if is_over {
            place.is_free = true;
            self.free.push(id.place);
            return Some(task);
        }
        place.task = Some(task);
        None
    }

    /// Takes out the tasks of a process that are not being polled just now.
    pub(super) fn take_all_of(&mut self, process: ProcessId) -> Vec<Task> {
        let mut taken = Vec::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            if place.process == process
                && let Some(task) = place.task.take()
            {
                place.is_free = true;
                self.free.push(index);
                taken.push(task);
            }
        }
        taken
    }
}
