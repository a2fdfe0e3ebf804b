//! What a session has begun and not ended: futures that run on the session's own task, so that none needs a task.

use super::session::{Job, Session, Turn};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

impl Session {
    /// Runs a future on the session's task, on which this is called, also when the session is closed meanwhile.
    pub(super) fn begin(&self, job: Job) {
        let mut state = self.lock();
        if let Some(jobs) = &mut state.work {
            jobs.push(job);
            // A task that writes goes on with it before it waits again.
            if state.turn == Turn::Waiting {
                state.wake_task();
            }
        }
    }

    /// Goes on with all that was begun; ready when nothing is left.
    pub(super) fn poll_work(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut jobs = self.lock().work.as_mut().map(std::mem::take).unwrap_or_default();
        let mut known = 0;
        loop {
            jobs.extract_if(known.., |job| !goes_on(job, cx)).for_each(drop);
            known = jobs.len();
            let mut state = self.lock();
            // What was begun meanwhile is begun at once.
            if let Some(begun) = &mut state.work {
                jobs.append(begun);
            }
            if jobs.is_empty() {
                return Poll::Ready(());
            }
            if jobs.len() == known {
                state.work = Some(jobs);
                return Poll::Pending;
            }
        }
    }

    /// As [`poll_work`](Self::poll_work), but the last time: nothing is begun after it was ready.
    pub(super) fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<()> {
        let rest = self.poll_work(cx);
        if rest.is_ready() {
            self.drop_work();
        }
        rest
    }

    /// Drops what was begun, as nobody goes on with it.
    pub(super) fn drop_work(&self) {
        let dropped = self.lock().work.take();
        drop(dropped);
    }
}

/// Whether a job is not done yet. A panic, which is logged where it happens, ends it alone.
fn goes_on(job: &mut Job, cx: &mut Context<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(cx))).is_ok_and(|poll| poll.is_pending())
}

#[cfg(test)]
mod tests {
    use crate::engineio::Handle;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use std::task::{Context, Poll, Waker};
    use tokio::sync::oneshot;

    #[test]
    fn what_is_begun_is_gone_on_with_until_it_is_done_and_a_panic_ends_it_alone() {
        let handle = Handle::of_nobody();
        let cx = &mut Context::from_waker(Waker::noop());
        assert_eq!(handle.0.poll_work(cx), Poll::Ready(()));
        let (answered, answer) = oneshot::channel::<()>();
        let done = Arc::new(AtomicUsize::new(0));
        let (counted, inner) = (Arc::clone(&done), handle.clone());
        handle.run(async { panic!("a defect") });
        handle.run(async move {
            let _ = answer.await;
            inner.run(async move {
                counted.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(handle.0.poll_work(cx), Poll::Pending);
        answered.send(()).unwrap();
        assert_eq!(handle.0.poll_work(cx), Poll::Ready(()), "and what it begins is begun at once");
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nothing_is_begun_on_a_task_that_has_ended() {
        let handle = Handle::of_nobody();
        assert_eq!(handle.0.poll_rest(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
        let (held, dropped) = oneshot::channel::<()>();
        handle.run(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        assert!(dropped.blocking_recv().is_err());
    }
}
