//! `SocketReplaced`: a client has connected again, and an earlier socket of it is of no use.

use proto::inbox::{SocketReplaced, SoftEvent, soft_event};

use crate::{
    output::{Output, Patience},
    pid::Pid,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Closes the earlier socket, if it is one of these.
pub(crate) fn hear<L: Limits>(sockets: &[SocketState<L::Ticket>], replaced: &SocketReplaced, step: &mut Step<'_, L>) {
    for socket in sockets.iter().filter(|socket| socket.is_of(&replaced.pid)) {
        if socket.is_replaced_by(replaced.connected_at_ms, replaced.connection) {
            step.out.push(Output::Close(socket.id));
        }
    }
}

/// Closes an earlier socket with this pid, wherever it lives. If it is not told, it ends by its heartbeat.
pub(crate) fn tell<L: Limits>(socket: &SocketState<L::Ticket>, pid: &Pid, step: &mut Step<'_, L>) {
    let replaced = SocketReplaced {
        pid: pid.as_str().to_owned(),
        connected_at_ms: socket.connected_at_ms,
        connection: socket.id.0,
    };
    let event = SoftEvent { event: Some(soft_event::Event::SocketReplaced(replaced)) };
    step.out.push(Output::Publish([step.user.clone()].into(), event, Patience::Bounded));
}
