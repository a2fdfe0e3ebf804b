//! The task of one simulated user: it connects, lets its conversation speak, and connects again when that breaks.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    arrivals::{Arrivals, Spacing},
    conversation::{Conversation, End},
    pacer::Pacer,
    stats::Stats,
    transport::{Closed, ConnectFailure, Connection, Endpoint},
};

/// The pause before connecting again: between half and one and a half of this (the official client's first delay is 1
/// s).
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// What the run is at. Times are since its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Users connect and join.
    Joining,
    /// Users send from `start` on through all stages; what is intended from `measured_from` on is measured.
    Sending {
        /// The first moment.
        start: Duration,
        /// When the warm-up is over and the first stage begins.
        measured_from: Duration,
    },
    /// Users send nothing new and settle what is open.
    Draining,
    /// Users leave.
    Done,
}

/// How one user sends.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How its messages are spaced.
    pub spacing: Spacing,
    /// Messages a second of this user, and for how long.
    pub stages: Arc<[(f64, Duration)]>,
    /// Makes its schedule its own, and repeatable.
    pub seed: u64,
}

/// One simulated user.
pub struct User {
    /// Its number among all users of the run.
    pub number: usize,
    /// Wakes it when it means to send.
    pub pacer: Arc<Pacer>,
    /// What it says and hears.
    pub conversation: Conversation,
    /// Its gateway.
    pub endpoint: Arc<Endpoint>,
    /// Where it connects from.
    pub source: Option<IpAddr>,
    /// Its token.
    pub token: String,
    /// How it sends.
    pub pace: Pace,
    /// The zero of all times of the run.
    pub origin: Instant,
    /// What the run is at.
    pub phase: watch::Receiver<Phase>,
    /// Bounds how many users shake hands at a time.
    pub handshakes: Arc<Semaphore>,
}

impl User {
    /// Lives until the run is done or the server refuses it for good.
    pub async fn live(mut self, stats: &Stats) {
        while !self.is_done() {
            match self.connect().await {
                Ok(connection) => {
                    self.conversation.connected(self.now());
                    let end = self.converse(connection).await;
                    self.conversation.disconnected();
                    if end == Some(End::Refused) {
                        stats.counters.refused_users.count();
                        return;
                    }
                    if end == Some(End::Closed) {
                        stats.counters.disconnects.count();
                    }
                }
                Err(ConnectFailure::Refused(code)) => {
                    stats.count_code(&code);
                    stats.counters.refused_users.count();
                    return;
                }
                Err(ConnectFailure::Unreachable(reason)) => {
                    stats.counters.connect_failures.count();
                    stats.count_code(&reason);
                }
            }
            self.pause().await;
        }
    }

    async fn connect(&self) -> Result<Connection, ConnectFailure> {
        // The semaphore is never closed.
        let _permit = self.handshakes.acquire().await;
        Connection::open(&self.endpoint, self.source, &self.token).await
    }

    /// Talks until the connection ends; none if the run is done.
    async fn converse(&mut self, mut connection: Connection) -> Option<End> {
        let silence_limit = connection.silence_limit();
        let mut heard_at = self.now();
        let mut check_at = heard_at + silence_limit;
        let mut timer = std::pin::pin!(sleep_until(self.origin + check_at));
        let mut paced = None;
        loop {
            let Ok(()) = self.write_frames(&mut connection).await else { return Some(End::Closed) };
            let wake_at = self.conversation.wake_at().map_or(check_at, |at| at.min(check_at));
            set_timer(timer.as_mut(), self.origin + wake_at);
            self.ask_pacer(&mut paced);
            tokio::select! {
                biased;
                changed = self.phase.changed() => if changed.is_err() || self.enter_phase() {
                    connection.close().await;
                    return None;
                },
                received = connection.receive() => {
                    let Ok(text) = received else { return Some(End::Closed) };
                    heard_at = self.now();
                    if let Err(end) = self.conversation.handle(&text, heard_at) {
                        return Some(end);
                    }
                }
                () = self.pacer.woken(self.number) => {}
                () = timer.as_mut() => {}
            }
            let now = self.now();
            if let Err(end) = self.conversation.advance(now) {
                return Some(end);
            }
            if check_at <= now {
                check_at = heard_at + silence_limit;
                if check_at <= now {
                    return Some(End::Closed);
                }
            }
        }
    }

    /// Asks to be woken for the next new message, once for each.
    fn ask_pacer(&self, paced: &mut Option<Duration>) {
        if let Some(at) = self.conversation.send_at().filter(|at| *paced != Some(*at)) {
            *paced = Some(at);
            self.pacer.wake_at(self.number, self.origin + at);
        }
    }

    async fn write_frames(&mut self, connection: &mut Connection) -> Result<(), Closed> {
        while let Some(frame) = self.conversation.next_frame() {
            connection.send(frame).await?;
        }
        Ok(())
    }

    /// Does what the current phase asks; true if the run is done.
    fn enter_phase(&mut self) -> bool {
        let phase = *self.phase.borrow_and_update();
        match phase {
            Phase::Sending { start, measured_from } => {
                let arrivals = self.pace.arrivals(start, measured_from);
                self.conversation.start(arrivals, measured_from);
            }
            Phase::Draining => self.conversation.stop(self.now()),
            Phase::Joining | Phase::Done => {}
        }
        phase == Phase::Done
    }

    /// Waits before connecting again, and notices meanwhile what the run is at.
    async fn pause(&mut self) {
        let until = Instant::now() + RECONNECT_PAUSE.mul_f64(0.5 + fastrand::f64());
        loop {
            tokio::select! {
                changed = self.phase.changed() => if changed.is_err() || self.enter_phase() {
                    return;
                },
                () = sleep_until(until) => return,
            }
        }
    }

    fn is_done(&self) -> bool {
        *self.phase.borrow() == Phase::Done
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl Pace {
    /// The warm-up is at the rate of the first stage.
    fn arrivals(&self, start: Duration, measured_from: Duration) -> Arrivals {
        let mut end = measured_from;
        let stages = self.stages.iter().map(|(rate, duration)| {
            end += *duration;
            (*rate, end)
        });
        Arrivals::staged(self.spacing, start, stages, self.seed)
    }
}

/// Moves a timer only if it has to: most wake-ups leave it where it is.
pub fn set_timer(timer: std::pin::Pin<&mut Sleep>, deadline: Instant) {
    if timer.deadline() != deadline || timer.is_elapsed() {
        timer.reset(deadline);
    }
}
