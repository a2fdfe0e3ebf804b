//! Ways from task to task within a process, and what the network delivers into: a queue, and an answer that comes once.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

/// A queue with one reader. Cheap to clone.
pub(crate) struct Queue<T>(Rc<RefCell<Waiting<T>>>);

struct Waiting<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Waiting { items: VecDeque::new(), reader: None })))
    }
}

impl<T> Queue<T> {
    /// Puts an item at the end.
    pub(crate) fn push(&self, item: T) {
        let mut waiting = self.0.borrow_mut();
        waiting.items.push_back(item);
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }

    /// Takes the first item, if there is one.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.0.borrow_mut().items.pop_front()
    }

    /// Waits for the first item and takes it.
    pub(crate) async fn pop(&self) -> T {
        poll_fn(|context| {
            let mut waiting = self.0.borrow_mut();
            if let Some(item) = waiting.items.pop_front() {
                return Poll::Ready(item);
            }
            waiting.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Where an answer arrives; `None` when there will be none.
pub(crate) type Arrives<T> = Queue<Option<T>>;

/// Where an answer goes. Whoever waits for it learns when this is dropped.
pub(crate) struct Answer<T>(Arrives<T>);

impl<T> Answer<T> {
    /// An answer, and where it arrives.
    pub(crate) fn expected() -> (Self, Arrives<T>) {
        let arrives = Arrives::default();
        (Self(arrives.clone()), arrives)
    }

    /// Answers.
    pub(crate) fn give(self, value: T) {
        self.0.push(Some(value));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.push(None);
    }
}
