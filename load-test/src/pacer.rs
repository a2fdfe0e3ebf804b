//! Wakes users when they mean to send, to some tens of microseconds: tokio's timer counts in whole milliseconds, which
//! is as long as a send takes, and would show in every latency.

use std::{cmp::Reverse, collections::BinaryHeap, io, os::fd::OwnedFd, sync::Mutex};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::{io::unix::AsyncFd, sync::Notify, time::Instant};

use crate::stats::lock;

/// One timer of the kernel (`timerfd_create(2)`) for all users.
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
    queue: Mutex<BinaryHeap<Reverse<(Instant, usize)>>>,
    users: Vec<Notify>,
}

impl Pacer {
    /// A pacer for `users` users.
    #[expect(deprecated, reason = "an OwnedFd keeps its descriptor open for as long as it is registered")]
    pub fn new(users: usize) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self {
            timer: AsyncFd::new(timer)?,
            queue: Mutex::default(),
            users: std::iter::repeat_with(Notify::new).take(users).collect(),
        })
    }

    /// Wakes `user` at `at`, besides whatever it asked for before.
    pub fn wake_at(&self, user: usize, at: Instant) {
        let mut queue = lock(&self.queue);
        let is_next = queue.peek().is_none_or(|Reverse((next, _))| at < *next);
        queue.push(Reverse((at, user)));
        if is_next {
            self.arm(at);
        }
    }

    /// Waits until `user` is woken. A wake-up that came before is not lost.
    pub async fn woken(&self, user: usize) {
        self.users[user].notified().await;
    }

    /// Wakes users as their times come; never ends by itself.
    pub async fn run(&self) -> io::Result<()> {
        let mut expirations = [0; 8];
        loop {
            let mut ready = self.timer.readable().await?;
            // Not expired after all: the timer was set anew meanwhile.
            let _ = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?));
            self.wake_due(Instant::now());
        }
    }

    fn wake_due(&self, now: Instant) {
        let mut queue = lock(&self.queue);
        while let Some(Reverse((at, user))) = queue.peek().copied() {
            if at > now {
                self.arm(at);
                return;
            }
            queue.pop();
            self.users[user].notify_one();
        }
    }

    fn arm(&self, at: Instant) {
        // 0 would disarm it.
        let nanos = at.saturating_duration_since(Instant::now()).as_nanos().max(1);
        let value = Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // It can only fail for a wrong descriptor or value.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn users_are_woken_in_the_order_of_their_times_and_not_early() {
        let pacer = Arc::new(Pacer::new(2).unwrap());
        let begun = Instant::now();
        let (late, early) = (begun + Duration::from_millis(20), begun + Duration::from_millis(5));
        pacer.wake_at(0, late);
        pacer.wake_at(1, early);
        tokio::select! {
            failed = pacer.run() => panic!("{failed:?}"),
            () = async {
                pacer.woken(1).await;
                assert!((early..late).contains(&Instant::now()));
                pacer.woken(0).await;
                assert!(Instant::now() >= late);
            } => {}
        }
    }

    #[tokio::test]
    async fn a_time_that_has_passed_wakes_at_once() {
        let pacer = Pacer::new(1).unwrap();
        pacer.wake_at(0, Instant::now());
        tokio::select! {
            failed = pacer.run() => panic!("{failed:?}"),
            () = pacer.woken(0) => {}
        }
    }
}
