//! Connection state recovery as the npm package's in-memory adapter has it: sessions that ended in order are kept for a
//! while.

use bytes::Bytes;
use gateway::{
    engineio::Sid,
    socketio::{CloseReason, Emitter, Packet},
};
use serde::Deserialize;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Most sessions that are kept, of connected clients and of those that have left. More replace those that left first.
const MAX_SESSIONS: usize = 1_000;
/// So long after it has left a client can come back; the default of the npm package.
const MAX_AGE: Duration = Duration::from_mins(2);
/// Most bytes of events that are kept for one session; more replace the oldest.
const MAX_SESSION_BYTES: usize = 256 * 1024;
/// Most events that are kept for one session, which may be small.
const MAX_SESSION_EVENTS: usize = 1_000;

/// The sessions of one suite.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_pid: HashMap<String, Session>,
    /// The number of the last event, which is its offset.
    last_offset: u64,
}

struct Session {
    namespace: String,
    sid: String,
    /// The latest events by their offsets, ascending.
    events: VecDeque<(u64, Packet)>,
    /// Since when nobody is connected; `None` while somebody is.
    left_at: Option<Instant>,
}

/// What a client that connects begins with.
pub(crate) struct Opened {
    /// Its pid: the one that it brought if it is recovered.
    pub(crate) pid: String,
    /// What it has missed, to be sent after the CONNECT reply.
    pub(crate) missed: Vec<Packet>,
}

#[derive(Deserialize)]
struct Brought {
    pid: Option<String>,
    offset: Option<String>,
}

impl Sessions {
    /// Recovers a client by the `pid` and `offset` of its `auth`, or gives it a new session. `None` without randomness.
    pub(crate) fn open(&self, emitter: &Emitter, auth: &str) -> Option<Opened> {
        let mut table = self.table();
        if let Some(opened) = serde_json::from_str(auth).ok().and_then(|brought| table.recover(emitter, brought)) {
            return Some(opened);
        }
        let pid = Sid::random().ok()?.as_str().to_owned();
        table.make_room();
        table.by_pid.insert(pid.clone(), Session::new(emitter));
        Some(Opened { pid, missed: Vec::new() })
    }

    /// Emits an event that ends in its offset, and keeps it for the client's return.
    pub(crate) fn emit(&self, (pid, emitter): (&str, &Emitter), name: &str, args: &str, attachments: &[Bytes]) {
        let mut table = self.table();
        table.last_offset += 1;
        let offset = table.last_offset;
        let separator = if args.is_empty() { "" } else { "," };
        let args = format!("{args}{separator}\"{offset}\"");
        // Only the main namespace has events with attachments.
        let packet = match attachments {
            [] => emitter.event_packet(name, &args),
            _ => Packet::binary_event(name, &args, attachments),
        };
        if let Some(session) = table.by_pid.get_mut(pid) {
            session.keep(offset, packet.clone());
        }
        // Still locked, so that the client gets its events in the order of their offsets. One that is gone gets them
        // when it is back.
        let _ = emitter.send(&packet);
    }

    /// The client is gone. It may come back unless it left for good or broke the protocol.
    pub(crate) fn left(&self, pid: &str, reason: CloseReason) {
        let mut table = self.table();
        if matches!(reason, CloseReason::ClientDisconnected | CloseReason::ProtocolError) {
            table.by_pid.remove(pid);
        } else if let Some(session) = table.by_pid.get_mut(pid) {
            session.left_at = Some(Instant::now());
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A session is recovered by one client at a time, and only from an event that it still has.
    fn recover(&mut self, emitter: &Emitter, brought: Brought) -> Option<Opened> {
        let (pid, offset) = (brought.pid?, brought.offset?);
        self.by_pid.retain(|_, session| session.left_at.is_none_or(|left_at| left_at.elapsed() <= MAX_AGE));
        let session = self.by_pid.get_mut(&pid)?;
        if session.left_at.is_none() || session.namespace != emitter.namespace() {
            return None;
        }
        let last = session.events.iter().position(|(known, _)| known.to_string() == offset)?;
        session.left_at = None;
        emitter.restore_sid(&session.sid);
        let missed = session.events.range(last + 1..).map(|(_, packet)| packet.clone()).collect();
        Some(Opened { pid, missed })
    }

    fn make_room(&mut self) {
        while self.by_pid.len() >= MAX_SESSIONS {
            // Those that have left come before those that have not.
            let oldest = self.by_pid.iter().min_by_key(|(_, session)| (session.left_at.is_none(), session.left_at));
            let Some(pid) = oldest.map(|(pid, _)| pid.clone()) else { return };
            self.by_pid.remove(&pid);
        }
    }
}

impl Session {
    fn new(emitter: &Emitter) -> Self {
        let (namespace, sid) = (emitter.namespace().to_owned(), emitter.sid().to_owned());
        Self { namespace, sid, events: VecDeque::new(), left_at: None }
    }

    fn keep(&mut self, offset: u64, packet: Packet) {
        self.events.push_back((offset, packet));
        while self.events.len() > MAX_SESSION_EVENTS || self.bytes() > MAX_SESSION_BYTES {
            self.events.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.events.iter().map(|(_, packet)| packet.size()).sum()
    }
}
