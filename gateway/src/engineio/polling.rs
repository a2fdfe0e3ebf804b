//! What a session has only while it is polling.

use super::link::Link;
use super::packet::Incoming;
use bytes::Bytes;
use std::{collections::VecDeque, task::Waker};

/// What a session has only while it is polling.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// Packets of the current POST that the session's task has not handled yet.
    pub(super) inbox: VecDeque<Inbound>,
    pub(super) get: Get,
    /// End the waiting GET with a noop.
    pub(super) noop: bool,
    pub(super) post: Post,
    pub(super) upgrading: bool,
    /// The WebSocket that takes over.
    pub(super) upgraded: Option<Box<Link>>,
}

/// A packet out of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    Text(String),
    Binary(Bytes),
    Pong,
    Close,
    /// A ping, which only the server sends.
    Violation,
}

#[derive(Debug, Default)]
pub(super) enum Get {
    #[default]
    None,
    Waiting(Option<Waker>),
}

#[derive(Debug, Default)]
pub(super) enum Post {
    #[default]
    None,
    /// Its body is read.
    Reading(Option<Waker>),
    /// Its packets are handled.
    Delivering(Option<Waker>),
    Handled,
}

impl Polling {
    /// Whether a GET waits for what is queued.
    pub(super) fn has_get(&self) -> bool {
        matches!(self.get, Get::Waiting(_))
    }

    pub(super) fn wake_get(&self) {
        if let Get::Waiting(Some(waker)) = &self.get {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wake_post(&self) {
        if let Post::Reading(Some(waker)) | Post::Delivering(Some(waker)) = &self.post {
            waker.wake_by_ref();
        }
    }

    /// The session's task has handled all of the inbox.
    pub(super) fn handled(&mut self) {
        if let Post::Delivering(Some(waker)) = &self.post {
            waker.wake_by_ref();
            self.post = Post::Handled;
        }
    }
}

impl Inbound {
    /// What of a packet the session's task has to do with; upgrade packets mean nothing here.
    pub(super) fn from_packet(packet: Incoming<'_>) -> Option<Self> {
        Some(match packet {
            Incoming::Text(text) => Self::Text(text.to_owned()),
            Incoming::Binary(bytes) => Self::Binary(bytes),
            Incoming::Pong => Self::Pong,
            Incoming::Close => Self::Close,
            Incoming::Probe => Self::Violation,
            Incoming::Upgrade | Incoming::Ignored => return None,
        })
    }
}
