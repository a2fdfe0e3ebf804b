//! A user's sockets on this gateway are bounded: one more takes the place of another that is not needed, or is refused.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::Code;

use super::{
    context::Context,
    users::{Socket, Stay},
};
use crate::{metrics, socketio::Refuse, views};

/// Finds a seat for a socket that is about to connect and brings `pid`, if any.
pub(super) fn seat(context: &Context, newcomer: Stay, pid: Option<&str>) -> Result<Stay, Refuse> {
    if newcomer.take_seat(context.seats.max_user_sockets) {
        return Ok(newcomer);
    }
    let now = Instant::now();
    let state = newcomer.user().state();
    let known = state.core.sockets().iter().filter_map(|known| {
        let is_replaced = pid.is_some_and(|pid| known.is_of(pid));
        let socket = state.sockets.iter().find(|socket| socket.id == known.id)?;
        Some(Known { is_replaced, silence: known.silence(now), socket: Arc::clone(socket) })
    });
    let known = known.collect();
    drop(state);
    for Known { socket, .. } in in_order(known, context.seats.silence()) {
        if newcomer.take_seat_of(&socket.stay) {
            socket.emitter.disconnect_transport();
            return Ok(newcomer);
        }
    }
    Err(refusal(Code::TooManySockets))
}

/// A refusal for good.
pub(super) fn refusal(code: Code) -> Refuse {
    metrics::rejected(code);
    let data = serde_json::json!({ "code": code.as_str() });
    Refuse::Error { message: code.message().to_owned(), data: Some(views::to_json(&data)) }
}

/// A socket that might make room.
#[derive(Debug)]
struct Known<S = Arc<Socket>> {
    /// The newcomer brings this socket's pid: its client has connected anew.
    is_replaced: bool,
    silence: Duration,
    socket: S,
}

/// Those that may make room, in the order in which they are asked: first an earlier connection of the same client, then
/// the longest silent. Pure.
fn in_order<S>(mut known: Vec<Known<S>>, least_silence: Duration) -> Vec<Known<S>> {
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
            socket: *minutes,
        });
        in_order(known.collect(), LEAST).iter().map(|known| known.socket).collect()
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
