//! What a session holds of the budget that all share: packets that wait, and what was received and is not complete.

use super::CloseReason;
use super::session::{Session, State};
use std::sync::{Arc, PoisonError};

/// Bytes of memory that a packet in the queue takes besides its payload.
const PACKET_BYTES: usize = 96;

impl State {
    /// Bytes of memory that wait for the client.
    fn held(&self) -> usize {
        self.queued_bytes + self.queue.len() * PACKET_BYTES + self.unwritten + self.unread as usize
    }

    /// Whether what is queued now leaves the queue at once.
    pub(super) fn is_taken_at_once(&self) -> bool {
        self.queue.is_empty() && self.unwritten == 0 && self.polling.as_ref().is_none_or(|polling| polling.has_get())
    }
}

impl Session {
    /// Keeps account of what the session holds. False if it has come to hold more, and all sessions together hold too
    /// much.
    pub(super) fn settle(&self, state: &mut State) -> bool {
        let held = state.held();
        self.context.config.held.settle(&mut state.taken, held)
    }

    /// What the client has begun to send takes so many bytes of memory. Closes the session if all together hold too
    /// much.
    pub(super) fn receives(self: &Arc<Self>, unread: usize) -> bool {
        let mut state = self.lock();
        state.unread = u32::try_from(unread).unwrap_or(u32::MAX);
        let fits = self.settle(&mut state);
        drop(state);
        if !fits {
            self.close(CloseReason::OverBudget);
        }
        fits
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.context.config.held.settle(&mut state.taken, 0);
    }
}
