//! A client that connects anew, here or elsewhere.

use proto::inbox::SocketReplaced;

use super::*;

fn replaced(byte: u8, connected_at_ms: i64) -> Inbox {
    Inbox::SocketReplaced(SocketReplaced { pid: pid(byte).as_str().to_owned(), connected_at_ms, connection: 0 })
}

#[test]
fn the_later_socket_of_a_client_stays_and_the_earlier_one_is_closed() {
    let mut alice = Alice::new();
    alice.connects(1);
    let now_ms = alice.at.unix_ms;
    alice.out.clear();
    alice.hears(replaced(1, now_ms - 1));
    alice.hears(replaced(2, now_ms + 1));
    assert_eq!(alice.put_out(), [""; 0]);
    alice.hears(replaced(1, now_ms + 1));
    assert_eq!(alice.put_out(), ["close"]);
}

#[test]
fn a_client_that_comes_back_is_given_what_it_missed_and_its_earlier_socket_is_closed() {
    let mut alice = Alice::new();
    let socket = alice.recovers(1, 3, 9);
    assert_eq!(alice.put_out(), ["user_typing", "await room for m", "publish to alice: replaced", "find call"]);
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    assert_eq!(alice.put_out(), ["messages of m after 3"]);
}

#[test]
fn a_client_whose_cursor_is_later_than_what_this_gateway_has_heard_is_given_nothing_twice() {
    let mut alice = Alice::new();
    // Another gateway gave it everything up to 9. What this one hears late is older.
    alice.recovers(1, 9, 9);
    alice.out.clear();
    alice.hears_messages(&[8, 9], "bob", None);
    assert_eq!(alice.put_out(), [""; 0]);
    alice.hears_messages(&[10], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 10"]);
}

#[test]
fn what_was_heard_between_the_heads_and_the_connection_is_compared() {
    let mut alice = Alice::new();
    let recovery = alice.recovery(1, 3, 3);
    let heard = alice.core.heard();
    alice.hears_messages(&[4], "bob", None);
    let arrival = Arrival::recovered((recovery, epoch()), heard, TOKEN, alice.at);
    alice.step(|core, step| core.connected(arrival, step));
    assert_eq!(alice.put_out(), ["user_typing", "publish to alice: replaced", "heads of m", "find call"]);
}

#[test]
fn a_token_that_was_revoked_meanwhile_closes_the_transport() {
    let mut alice = Alice::new();
    let token = Validity { issued_at_ms: 5, ..TOKEN };
    let mut arrival = Arrival::recovered((anew(1), epoch()), 0, token, alice.at);
    arrival.note_revoked(|issued_at_ms| issued_at_ms < 6);
    alice.step(|core, step| core.connected(arrival, step));
    assert_eq!(alice.put_out(), ["close"]);
}
