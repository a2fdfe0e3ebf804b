//! Free TCP ports on loopback, taken from below the range that the kernel hands to outgoing connections.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Result, bail};

/// Linux gives outgoing connections ports from 32768 up (`net.ipv4.ip_local_port_range`). A server on such a port can
/// lose it to a client between its death and its restart, even to a client that tries to reach this very port.
const RANGE: std::ops::Range<u16> = 18_000..32_000;
const ATTEMPTS: u32 = 200;

static HANDED_OUT: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that nobody listens on and that this process has not handed out before.
///
/// # Errors
/// When no port is found in a few hundred attempts.
pub fn free() -> Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let port = RANGE.start + random_u16() % (RANGE.end - RANGE.start);
        if is_free(port) && handed_out.insert(port) {
            return Ok(port);
        }
    }
    bail!(
        "no free TCP port found between {} and {}",
        RANGE.start,
        RANGE.end
    )
}

/// Whether one could listen on the port of 127.0.0.1 now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random_u16() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    // Not for secrets: it only has to differ between processes and calls.
    let [.., a, b] = RandomState::new().hash_one(()).to_le_bytes();
    u16::from_le_bytes([a, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once() {
        let ports: HashSet<u16> = (0..100).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| RANGE.contains(port)));
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
