//! One connected socket of a user.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicI64, Ordering},
};

use proto::UserId;
use service_kit::clock;

use super::{given::Viewer, pid::Pid, session::Session, users::Presence};
use crate::{origin::origin_of, socketio::Emitter};

/// When a token was issued, as Unix time in milliseconds, and when it expires, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) issued_at_ms: i64,
    pub(crate) expires_at_s: i64,
}

/// One connected socket. Its session is locked for the length of one event; what is emitted meanwhile keeps its order.
#[derive(Debug)]
pub struct Socket {
    pub(crate) emitter: Emitter,
    pub(crate) presence: Presence,
    /// `None` for a client that does not want to be recovered.
    pub(crate) pid: Option<Pid>,
    /// A number of its own, by chance: it tells it from an earlier socket with the same pid.
    pub(crate) connection: u64,
    /// When it connected, as Unix time.
    pub(crate) connected_at_ms: i64,
    /// What its messages are stored with, so that they are not delivered to it.
    pub(crate) origin: u64,
    issued_at_ms: AtomicI64,
    expires_at_s: AtomicI64,
    session: Mutex<Session>,
}

impl Socket {
    pub(crate) fn new(emitter: Emitter, pid: Option<Pid>, presence: Presence, token: Validity) -> Arc<Self> {
        Arc::new(Self {
            origin: origin_of(emitter.sid()),
            emitter,
            pid,
            connection: fastrand::u64(..),
            connected_at_ms: clock::unix_ms(),
            presence,
            issued_at_ms: AtomicI64::new(token.issued_at_ms),
            expires_at_s: AtomicI64::new(token.expires_at_s),
            session: Mutex::default(),
        })
    }

    /// Whose socket it is.
    pub(crate) fn user_id(&self) -> &UserId {
        self.presence.user_id()
    }

    /// The name under which the user's calls know this device.
    pub(crate) fn device(&self) -> &str {
        self.emitter.sid()
    }

    /// The tag of its pid, which its cursors carry; empty without a pid.
    pub(crate) fn tag(&self) -> &str {
        self.pid.as_ref().map_or("", Pid::tag)
    }

    pub(crate) fn viewer(&self) -> Viewer<'_> {
        Viewer { user: self.user_id(), origin: self.origin, tag: self.tag() }
    }

    /// The session. A panic while it was locked may have left it half changed: then the transport is closed, and the client comes back
    /// with a session that its cursor tells.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(|poisoned| {
            self.emitter.disconnect_transport();
            poisoned.into_inner()
        })
    }

    /// How long its token is good.
    pub(crate) fn token(&self) -> Validity {
        Validity {
            issued_at_ms: self.issued_at_ms.load(Ordering::Relaxed),
            expires_at_s: self.expires_at_s.load(Ordering::Relaxed),
        }
    }

    /// Whether a socket that connected with the same pid replaces this one: the later wins, however late one hears of it.
    ///
    /// Where the clocks of two gateways differ by more than lies between the two, the earlier one stays, unheard by its
    /// client, until its heartbeat fails.
    pub(crate) fn is_replaced_by(&self, connected_at_ms: i64, connection: u64) -> bool {
        (connected_at_ms, connection) > (self.connected_at_ms, self.connection)
    }

    /// Whether it was connected already at a Unix time in milliseconds.
    pub(crate) fn was_connected(&self, at_ms: i64) -> bool {
        self.connected_at_ms <= at_ms
    }

    /// Takes a renewed token.
    pub(crate) fn renew(&self, token: Validity) {
        self.issued_at_ms.store(token.issued_at_ms, Ordering::Relaxed);
        self.expires_at_s.store(token.expires_at_s, Ordering::Relaxed);
    }
}
