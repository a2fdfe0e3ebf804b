//! What of a session is due: its heartbeat, a connect, a write, its end. One task looks at all sessions.

use super::context::{Context, millis};
use super::deadlines::Deadline;
use super::heartbeat::Beat;
use super::packet::Outgoing;
use super::{
    CloseReason,
    session::{Reads, Session},
};
use std::sync::Arc;
use tokio::time;
use tokio_util::sync::CancellationToken;

/// Sessions that are looked at before other tasks get their turn.
const BATCH: usize = 256;

/// Looks at sessions when something of them is due, until `stop`.
pub(super) async fn sweep(context: Arc<Context<Session>>, stop: CancellationToken) {
    loop {
        let first = context.deadlines.first();
        let begin = async {
            match first {
                Some(at) => time::sleep_until(context.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = begin => {}
            () = context.deadlines.earlier.notified() => continue,
            () = stop.cancelled() => break,
        }
        while let Some(due) = context.deadlines.take(context.now()) {
            for batch in due.chunks(BATCH) {
                for (session, deadline) in batch {
                    if let Some(at) = session.due(*deadline, context.now()) {
                        context.deadlines.add(at, Arc::clone(session), *deadline);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
    // Sessions and their deadlines refer to each other.
    context.deadlines.clear();
}

impl Session {
    /// Does what is due and gives the time to look again, if at all.
    pub(super) fn due(self: &Arc<Self>, deadline: Deadline, now: u64) -> Option<u64> {
        match deadline {
            Deadline::Heartbeat => self.beat(now),
            Deadline::Connect => self.connect_due(now),
            Deadline::Write => self.write_due(now),
            Deadline::ReadPause => {
                let mut state = self.lock();
                state.reads = Reads::Flow;
                state.wake_task();
                None
            }
            Deadline::Close => {
                self.context.registry.remove(&self.sid);
                let mut state = self.lock();
                state.abandoned = true;
                state.wake_all();
                None
            }
        }
    }

    fn beat(self: &Arc<Self>, now: u64) -> Option<u64> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return None;
        }
        let beat = state.heartbeat.beat(self.context.rhythm, now);
        if matches!(beat, Beat::Ping(_)) {
            state.proof.pinged();
        }
        drop(state);
        match beat {
            Beat::Wait(at) => Some(at),
            Beat::Ping(at) => self.send([Outgoing::Ping]).is_ok().then_some(at),
            Beat::Dead => {
                self.close(CloseReason::PingTimeout);
                None
            }
        }
    }

    /// The client has answered a ping. True if that proves that it has what was sent.
    pub(super) fn pong(&self) -> bool {
        let now = self.context.now();
        let mut state = self.lock();
        state.heartbeat.pong(self.context.rhythm, now);
        state.proof.ponged()
    }

    /// Has the client prove that it has all that was queued until now.
    pub(super) fn prove(self: &Arc<Self>) {
        let mut state = self.lock();
        if let Some(polling) = &state.polling {
            let (is_fetched, has_get) = (state.queue.is_empty(), polling.has_get());
            if state.proof.want_by_polling(is_fetched, has_get) {
                state.wake_task();
            }
            return;
        }
        drop(state);
        self.ping_for_proof();
    }

    /// The same by a ping.
    pub(super) fn ping_for_proof(self: &Arc<Self>) {
        self.lock().proof.pings_for_it();
        // A closed session proves nothing.
        let _ = self.send([Outgoing::Ping]);
    }

    /// Whether an answer to a ping is overdue although the sweeper has not come by yet.
    pub(super) fn is_dead(&self) -> bool {
        let now = self.context.now();
        self.lock().heartbeat.is_dead(now)
    }

    fn connect_due(self: &Arc<Self>, now: u64) -> Option<u64> {
        let mut state = self.lock();
        let Some(connect_by) = state.connect_by else {
            state.connect_watched = false;
            return None;
        };
        drop(state);
        if connect_by > now + self.context.rhythm.tolerance {
            return Some(connect_by);
        }
        self.close(CloseReason::ConnectTimeout);
        None
    }

    fn write_due(self: &Arc<Self>, now: u64) -> Option<u64> {
        let mut state = self.lock();
        let Some(since) = state.blocked_since else {
            state.write_watched = false;
            return None;
        };
        let by = since + millis(self.context.config.write_timeout);
        drop(state);
        if by > now + self.context.rhythm.tolerance {
            return Some(by);
        }
        self.close(CloseReason::WriteTimeout);
        None
    }
}
