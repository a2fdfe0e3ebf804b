//! `MatchChanged`: something of a match has changed that has no event of its own. A change of its members comes also to
//! those whom it removes.

use std::sync::Arc;

use proto::{MatchId, UserId, inbox::MatchChanged};

use crate::{
    changed::Changed,
    delivery,
    memory::Memory,
    sharing,
    socket_state::SocketState,
    step::{Limits, Step},
    typing_changed,
};

/// Tells the user's sockets that have the chat open and were not told; the first time all others, if it makes the user
/// a member or ends that. Who is removed has stopped typing.
pub(crate) fn hear<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    changed: MatchChanged,
    step: &mut Step<'_, L>,
) {
    let (Ok(chat), Some(change)) = (MatchId::new(changed.match_id), changed.change) else { return };
    let changed = Arc::new(Changed { chat, change });
    let concerns_user = changed.makes_member(step.user).is_some();
    let is_newest = concerns_user && memory.is_newest_membership(&changed.chat, changed.change.rev);
    for removed in changed.removed().iter().filter_map(|user| UserId::new(user.as_str()).ok()) {
        if memory.typing_stopped(&changed.chat, &removed) == Some(true) {
            typing_changed::show(sockets, &changed.chat, (&removed, false), step);
        }
    }
    for socket in sockets {
        delivery::give_change(socket, &changed, is_newest, step);
        let is_watched = socket.watches.all().iter().any(|watch| watch.chat == changed.chat);
        if is_watched && changed.membership().is_some() {
            sharing::ask(socket, 0, step);
        }
    }
}
