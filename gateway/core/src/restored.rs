//! A restore of the database: what sockets know of their chats means nothing in another epoch.

use crate::{
    epoch::Epoch,
    output::Output,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// The database was found to be of this epoch. False if the socket has chats open from another: its client is made to
/// come back, and starts anew, as its cursor names the other epoch.
pub(crate) fn is_of_same_epoch<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    epoch: Epoch,
    step: &mut Step<'_, L>,
) -> bool {
    let is_same = socket.epoch == epoch || socket.chats.open_chats().next().is_none();
    if is_same {
        socket.epoch = epoch;
    } else {
        step.out.push(Output::Close(socket.id));
    }
    is_same
}
