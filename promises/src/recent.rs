//! The latest entries of a match, for the traces of violations.

use std::collections::VecDeque;

use crate::history::{APP_SERVER, Entry, Event};

/// Entries shown in a trace.
const SHOWN: usize = 14;

/// The latest entries of a match.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    entries: VecDeque<Entry>,
    kept: usize,
}

impl Recent {
    /// Remembers at most so many.
    pub(crate) fn new(kept: usize) -> Self {
        Self { entries: VecDeque::new(), kept }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        if self.entries.len() >= self.kept {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Keeps only what may still be asked for of a match that is over.
    pub(crate) fn shrink(&mut self) {
        self.entries.drain(..self.entries.len().saturating_sub(SHOWN));
        self.entries.shrink_to_fit();
    }

    /// The latest of what happened to a client.
    pub(crate) fn about(&self, slot: u8) -> Vec<String> {
        self.latest(|entry| entry.slot == slot)
    }

    /// The latest about the message of the newest entry, and about the chat of the client.
    pub(crate) fn trace(&self, slot: u8) -> Vec<String> {
        let Some(newest) = self.entries.back() else { return Vec::new() };
        let (tag, seq, call) = (newest.event.tag(), newest.event.seq(), newest.event.call());
        self.latest(|entry| {
            if call.is_some() {
                let is_connect = matches!(entry.event, Event::Connected { .. } | Event::Disconnected);
                return entry.event.call() == call || is_connect;
            }
            let same_message = tag.is_some_and(|tag| {
                entry.event.tag().is_some_and(|other| (other.slot, other.index) == (tag.slot, tag.index))
            });
            let near = seq.is_some_and(|seq| entry.event.seq().is_some_and(|other| other.abs_diff(seq) <= 1));
            same_message || near || entry.slot == APP_SERVER || (entry.slot == slot && entry.event.tag().is_none())
        })
    }

    fn latest(&self, concerns: impl Fn(&Entry) -> bool) -> Vec<String> {
        let latest = self.entries.iter().rev().filter(|entry| concerns(entry)).take(SHOWN);
        let mut latest: Vec<_> = latest.map(Entry::to_string).collect();
        latest.reverse();
        latest
    }
}
