//! What a session's task, its HTTP requests and its senders share: state, outgoing queue and wakers.

use super::context::{Context, millis};
use super::deadlines::Deadline;
use super::heartbeat::Heartbeat;
use super::packet::Outgoing;
use super::polling::Polling;
use super::proof::Proof;
use super::{CloseReason, Closed, Handshake, sid::Sid};
use crate::limits::Taken;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

/// Bytes of frames that are put into one write.
const WRITE_BYTES: usize = 64 * 1024;

/// How long a closed session is kept for the client to fetch or read the rest.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client is not read from that sends what is to be refused: what it sends meanwhile is then read, and
/// answered, at once.
const READ_PAUSE: Duration = Duration::from_millis(200);

/// How long the client's end of the connection is awaited after our close frame.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// One session, as everybody but its task sees it.
pub(super) struct Session {
    pub(super) sid: Sid,
    pub(super) handshake: Handshake,
    pub(super) context: Arc<Context<Self>>,
    pub(super) state: Mutex<State>,
}

impl AsRef<Sid> for Session {
    fn as_ref(&self) -> &Sid {
        &self.sid
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("sid", &self.sid).finish_non_exhaustive()
    }
}

pub(super) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct State {
    /// Allocates only while it has something in it.
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) queued_bytes: usize,
    /// Bytes of a write that the client holds up.
    pub(super) unwritten: usize,
    /// Bytes of memory for what the client has begun to send and not ended.
    pub(super) unread: u32,
    pub(super) taken: Taken,
    pub(super) task: Option<Waker>,
    pub(super) turn: Turn,
    pub(super) closed: Option<CloseReason>,
    /// The rest is not waited for any longer.
    pub(super) abandoned: bool,
    pub(super) heartbeat: Heartbeat,
    pub(super) proof: Proof,
    /// When the handler's own deadline is due, if it is armed.
    pub(super) connect_by: Option<u64>,
    /// Whether that deadline is on its way already.
    pub(super) connect_watched: bool,
    /// Since when a write makes no progress.
    pub(super) blocked_since: Option<u64>,
    /// Whether a write deadline is on its way already.
    pub(super) write_watched: bool,
    pub(super) reads: Reads,
    /// Futures that the session has begun. `None` when its task has ended: nothing more is begun.
    pub(super) work: Option<Vec<Job>>,
    /// The part of a session that is not (yet) a WebSocket.
    pub(super) polling: Option<Box<Polling>>,
}

/// What the task of a session with a WebSocket is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is to be woken for what is queued.
    Waiting,
    /// It runs, and writes what is queued before it waits again.
    Writing,
}

/// Whether a WebSocket is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Flow,
    /// Not for the moment.
    Pause,
}

impl State {
    pub(super) fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Wakes whoever writes.
    pub(super) fn wake_writer(&self) {
        match &self.polling {
            Some(polling) => polling.wake_get(),
            None if self.turn == Turn::Writing => {}
            None => self.wake_task(),
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake_task();
        if let Some(polling) = &self.polling {
            polling.wake_get();
            polling.wake_post();
        }
    }

    /// Takes all that is queued.
    pub(super) fn take_queue(&mut self) -> VecDeque<Outgoing> {
        self.queued_bytes = 0;
        std::mem::take(&mut self.queue)
    }

    fn push(&mut self, packet: Outgoing) {
        self.queued_bytes += packet.size();
        self.queue.push_back(packet);
    }
}

impl Session {
    /// A session whose open packet is queued; its heartbeat runs from now.
    pub(super) fn new(context: &Arc<Context<Self>>, handshake: Handshake, polling: bool) -> std::io::Result<Arc<Self>> {
        let config = &context.config;
        let sid = if polling { Sid::of(&*config.sids)? } else { Sid::random()? };
        let now = context.now();
        let open = format!(
            r#"{{"sid":"{}","upgrades":[{}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            sid.as_str(),
            if polling { r#""websocket""# } else { "" },
            millis(config.ping_interval),
            millis(config.ping_timeout),
            config.max_payload,
        );
        let session = Arc::new(Self {
            sid,
            handshake,
            context: Arc::clone(context),
            state: Mutex::new(State {
                queue: VecDeque::from([Outgoing::Open(open.into())]),
                queued_bytes: 0,
                unwritten: 0,
                unread: 0,
                taken: Taken::default(),
                task: None,
                turn: Turn::Waiting,
                closed: None,
                abandoned: false,
                heartbeat: Heartbeat::start(context.rhythm, now),
                proof: Proof::default(),
                connect_by: None,
                connect_watched: false,
                blocked_since: None,
                write_watched: false,
                reads: Reads::Flow,
                work: Some(Vec::new()),
                polling: polling.then(Box::default),
            }),
        });
        context.registry.insert(Arc::clone(&session));
        session.watch(now + context.rhythm.interval, Deadline::Heartbeat);
        Ok(session)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(self: &Arc<Self>, at: u64, deadline: Deadline) {
        self.context.deadlines.add(at, Arc::clone(self), deadline);
    }

    /// Queues packets with nothing in between. A queue that passes its bound closes the session; what finds nothing
    /// waiting is taken whatever its size.
    pub(super) fn send(self: &Arc<Self>, packets: impl IntoIterator<Item = Outgoing>) -> Result<(), Closed> {
        let config = &self.context.config;
        let mut state = self.lock();
        if state.closed.is_some() {
            return Err(Closed);
        }
        let was_empty = state.queue.is_empty();
        let is_taken_at_once = state.is_taken_at_once();
        let waiting = state.queued_bytes + state.unwritten;
        for packet in packets {
            state.push(packet);
        }
        let passes_bound = state.queued_bytes + state.unwritten > config.max_queued_bytes
            || state.queue.len() > config.max_queued_packets;
        let fits = self.settle(&mut state) || is_taken_at_once;
        if (passes_bound && waiting > 0) || !fits {
            drop(state);
            self.close(CloseReason::QueueFull);
            return Err(Closed);
        }
        if was_empty && !state.queue.is_empty() {
            state.wake_writer();
        }
        Ok(())
    }

    /// Closes the session; the first reason counts.
    pub(super) fn close(self: &Arc<Self>, reason: CloseReason) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(reason);
        if !reason.drains() {
            state.take_queue();
            self.settle(&mut state);
        }
        state.wake_all();
        drop(state);
        self.watch(self.context.now() + millis(CLOSE_TIMEOUT), Deadline::Close);
    }

    /// The close frame is out: the rest takes a moment, or is not waited for.
    pub(super) fn linger(self: &Arc<Self>) {
        self.watch(self.context.now() + millis(LINGER_TIMEOUT), Deadline::Close);
    }

    /// Encodes packets from the queue's front for one write; false if there was none: from then on the task is woken
    /// for what comes.
    pub(super) fn take_frames(&self, out: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while out.len() < WRITE_BYTES
            && let Some(packet) = state.queue.pop_front()
        {
            state.queued_bytes = state.queued_bytes.saturating_sub(packet.size());
            packet.write_frame(out);
        }
        if state.queue.is_empty() {
            state.take_queue();
        }
        self.settle(&mut state);
        if out.is_empty() {
            state.turn = Turn::Waiting;
        }
        !out.is_empty()
    }

    /// Tells how much of a write is still to be done; `progress` whether some of it just was.
    pub(super) fn written(self: &Arc<Self>, unwritten: usize, progress: bool) {
        let now = self.context.now();
        let mut state = self.lock();
        state.unwritten = unwritten;
        let fits = self.settle(&mut state);
        if unwritten == 0 {
            state.blocked_since = None;
        } else if !fits {
            drop(state);
            self.close(CloseReason::QueueFull);
        } else if progress || state.blocked_since.is_none() {
            state.blocked_since = Some(now);
            if !state.write_watched {
                state.write_watched = true;
                drop(state);
                self.watch(now + millis(self.context.config.write_timeout), Deadline::Write);
            }
        }
    }

    /// Reads nothing more from a WebSocket for [`READ_PAUSE`]; what was read already is handled.
    pub(super) fn pause_reads(self: &Arc<Self>) {
        if std::mem::replace(&mut self.lock().reads, Reads::Pause) == Reads::Flow {
            self.watch(self.context.now() + millis(READ_PAUSE), Deadline::ReadPause);
        }
    }

    /// Queues the answer to a ping frame; a queued one that it follows directly is replaced (RFC 6455 section 5.5.3).
    pub(super) fn control_pong(self: &Arc<Self>, payload: Bytes) {
        let mut state = self.lock();
        if let Some(Outgoing::ControlPong(last)) = state.queue.back_mut() {
            *last = payload;
            return;
        }
        drop(state);
        // A closed session answers nothing.
        let _ = self.send([Outgoing::ControlPong(payload)]);
    }
}
