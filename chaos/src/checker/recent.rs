//! The latest entries of a match, for the traces of violations.

use std::collections::VecDeque;

use crate::history::{APP_SERVER, Entry, Event};

/// Entries that are kept.
const KEPT: usize = 1_024;
/// Entries shown in a trace.
const SHOWN: usize = 14;

/// The latest entries of a match.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Entry>);

impl Recent {
    pub(super) fn push(&mut self, entry: Entry) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Keeps only what may still be asked for of a match that is over.
    pub(super) fn shrink(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(SHOWN));
        self.0.shrink_to_fit();
    }

    /// The latest of what happened to a client.
    pub(super) fn about(&self, slot: u8) -> Vec<String> {
        self.latest(|entry| entry.slot == slot)
    }

    /// The latest about the message of the newest entry, and about the chat of the client.
    pub(super) fn trace(&self, slot: u8) -> Vec<String> {
        let Some(newest) = self.0.back() else { return Vec::new() };
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
        let latest = self.0.iter().rev().filter(|entry| concerns(entry)).take(SHOWN);
        let mut latest: Vec<_> = latest.map(Entry::to_string).collect();
        latest.reverse();
        latest
    }
}
