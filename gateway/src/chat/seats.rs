//! A user's sockets on this gateway are bounded: one more takes the place of another that is not needed, or is refused.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::Code;

use super::{Context, Socket, connections, users::Presence};
use crate::socketio::Refuse;

/// Finds a seat for a socket that is about to connect and brings `pid`, if any.
pub(super) fn seat(context: &Context, newcomer: Presence, pid: Option<&str>) -> Result<Presence, Refuse> {
    if newcomer.take_seat(context.seats.max_user_sockets) {
        return Ok(newcomer);
    }
    let now = Instant::now();
    let sockets = newcomer.user().sockets();
    let known = sockets.iter().map(|socket| Known {
        is_replaced: socket.pid.as_ref().is_some_and(|own| Some(own.as_str()) == pid),
        silence: socket.session().activity.silence(now),
        socket,
    });
    for Known { socket, .. } in in_order(known.collect(), context.seats.silence()) {
        if newcomer.take_seat_of(&socket.presence) {
            socket.emitter.disconnect_transport();
            return Ok(newcomer);
        }
    }
    Err(connections::refusal(Code::TooManySockets))
}

/// A socket that might make room.
#[derive(Debug)]
struct Known<'a, S = Arc<Socket>> {
    /// The newcomer brings this socket's pid: its client has connected anew.
    is_replaced: bool,
    silence: Duration,
    socket: &'a S,
}

/// Those that may make room, in the order in which they are asked: first an earlier connection of the same client, then the longest
/// silent. Pure.
fn in_order<S>(mut known: Vec<Known<'_, S>>, least_silence: Duration) -> Vec<Known<'_, S>> {
    known.retain(|known| known.is_replaced || known.silence >= least_silence);
    known.sort_by_key(|known| std::cmp::Reverse((known.is_replaced, known.silence)));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_mins(10);

    fn asked(known: &[(bool, u64)]) -> Vec<u64> {
        let known = known.iter().map(|(is_replaced, minutes)| Known {
            is_replaced: *is_replaced,
            silence: Duration::from_mins(*minutes),
            socket: minutes,
        });
        in_order(known.collect(), LEAST).iter().map(|known| *known.socket).collect()
    }

    #[test]
    fn the_longest_silent_socket_makes_room_and_none_that_spoke_lately() {
        assert_eq!(asked(&[(false, 9), (false, 10), (false, 30), (false, 20)]), [30, 20, 10]);
        assert_eq!(asked(&[(false, 0), (false, 9)]), [0; 0]);
    }

    #[test]
    fn the_earlier_connection_of_the_same_client_makes_room_before_all_others() {
        assert_eq!(asked(&[(false, 30), (true, 0), (false, 20)]), [0, 30, 20]);
    }
}
