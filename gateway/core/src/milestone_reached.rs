//! `MilestoneReached`: a match has reached a milestone. It is announced again until it is known that it was.

use std::sync::Arc;

use proto::{MatchId, inbox::MilestoneReached};

use crate::{
    changed::Changed,
    delivery,
    memory::Memory,
    mistake::{self, Mistake},
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Tells the user's sockets that have the chat open and were not told; the first time all others, too.
pub(crate) fn hear<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    reached: MilestoneReached,
    step: &mut Step<'_, L>,
) {
    let (Ok(chat), Some(milestone)) = (MatchId::new(reached.match_id), reached.milestone) else { return };
    let is_news = memory.is_news(&chat, milestone.rev) || mistake::is_planted(Mistake::NoTold);
    let reached_at_ms = milestone.reached_at_ms;
    let changed = Arc::new(Changed::milestone(chat, milestone));
    for socket in sockets {
        // Who has connected since may have been told elsewhere, and learns it when joining.
        let was_here = socket.was_connected(reached_at_ms) || mistake::is_planted(Mistake::ToldElsewhere);
        delivery::give_change(socket, &changed, is_news && was_here, step);
    }
}
