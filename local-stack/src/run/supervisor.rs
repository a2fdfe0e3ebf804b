//! Brings back what dies.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::backoff::Backoff;
use crate::{
    note::note,
    stack::{Member, Stack},
};

const TICK: Duration = Duration::from_millis(100);

/// What is known about one member.
struct Watched {
    state: State,
    started: Instant,
    backoff: Backoff,
}

enum State {
    Running,
    Down { until: Instant },
    Starting,
}

/// Watches all members and starts those again that end, for ever.
pub(super) async fn keep_up(stack: &mut Stack) {
    let new = || Watched { state: State::Running, started: Instant::now(), backoff: Backoff::default() };
    let mut watched: Vec<Watched> = stack.members_mut().iter().map(|_| new()).collect();
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        let mut changed = false;
        for (member, watched) in stack.members_mut().iter_mut().zip(&mut watched) {
            changed |= watched.look_after(member).await;
        }
        if changed && let Err(error) = stack.write_manifest() {
            note(format_args!("{error:#}"));
        }
    }
}

impl Watched {
    /// Does what is due, and tells whether the process is another one now.
    async fn look_after(&mut self, member: &mut Member) -> bool {
        match self.state {
            State::Down { until } if Instant::now() >= until => self.start(member),
            State::Running | State::Starting if !member.daemon.is_running() => {
                self.mourn(member);
                true
            }
            State::Starting if member.daemon.is_ready().await => {
                note(format_args!("{} is back", member.daemon.name()));
                self.state = State::Running;
                false
            }
            State::Running | State::Starting | State::Down { .. } => false,
        }
    }

    fn mourn(&mut self, member: &mut Member) {
        let pause = self.backoff.after(self.started.elapsed());
        note(format_args!("{}\n  it starts again in {pause:?}", member.daemon.obituary()));
        self.state = State::Down { until: Instant::now() + pause };
    }

    fn start(&mut self, member: &mut Member) -> bool {
        self.started = Instant::now();
        self.state = State::Starting;
        match member.daemon.launch() {
            Ok(()) => true,
            Err(error) => {
                note(format_args!("{error:#}"));
                let pause = self.backoff.after(Duration::ZERO);
                self.state = State::Down { until: Instant::now() + pause };
                false
            }
        }
    }
}
