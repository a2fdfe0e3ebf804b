//! Which socket a message came from, as it is stored with the message.

/// The origin of messages that the socket named `socket_id` sends: its 64-bit FNV-1a hash, the same on every gateway.
///
/// It is only ever compared among the sockets of one user, who cannot choose their ids.
pub fn origin_of(socket_id: &str) -> u64 {
    proto::partition::fnv1a(socket_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_socket_id_is_frozen() {
        assert_eq!(origin_of("foobar"), 0x8594_4171_f739_67e8);
        assert_ne!(origin_of("a"), origin_of("b"));
    }
}
