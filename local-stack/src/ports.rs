//! Free TCP ports on loopback, taken from below the range that the kernel hands to outgoing connections.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Result, bail};

/// Linux gives outgoing connections ports from 32768 up (`net.ipv4.ip_local_port_range`). A server on such a port can
/// lose it to a client between its death and its restart, even to a client that tries to reach this very port.
const RANGE: std::ops::Range<u16> = 18_000..32_000;
const ATTEMPTS: u32 = 200;

static HANDED_OUT: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port kept from everybody else until [`Reservation::release`] gives it to the server it is for.
#[derive(Debug)]
pub struct Reservation {
    port: u16,
    listener: TcpListener,
}

impl Reservation {
    /// Takes a port that nobody listens on and that this process has not taken before.
    ///
    /// # Errors
    /// When none is found in a few hundred attempts.
    pub fn any() -> Result<Self> {
        let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            let port = RANGE.start + random_u16() % (RANGE.end - RANGE.start);
            if let Ok(listener) = listen(port)
                && handed_out.insert(port)
            {
                return Ok(Self { port, listener });
            }
        }
        bail!("no free TCP port found between {} and {}", RANGE.start, RANGE.end)
    }

    /// Takes this very port.
    ///
    /// # Errors
    /// When somebody listens on it, on either address of `localhost`.
    pub fn of(port: u16) -> Result<Self> {
        let on_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        // Other errors mean that this machine has no IPv6.
        let taken = on_ipv6.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
        match listen(port) {
            Ok(listener) if !taken => Ok(Self { port, listener }),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => bail!("cannot listen on port {port}: {error}"),
            _ => bail!("port {port} is in use: stop what listens there, or choose another --port"),
        }
    }

    /// The port number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets the port go just before its server takes it.
    pub fn release(self) -> u16 {
        self.port
    }

    /// The port with what listens there, for a server within this process.
    pub(crate) fn into_listener(self) -> (u16, TcpListener) {
        (self.port, self.listener)
    }
}

/// Whether one could listen on the port of 127.0.0.1 now.
pub fn is_free(port: u16) -> bool {
    listen(port).is_ok()
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
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
    fn a_port_is_handed_out_once_even_when_it_is_free_again() {
        let ports: HashSet<u16> = (0..100).map(|_| Reservation::any().unwrap().release()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| RANGE.contains(port)));
    }

    #[test]
    fn a_reserved_port_is_taken_until_it_is_released() {
        let reservation = Reservation::any().unwrap();
        let port = reservation.port();
        assert!(!is_free(port));
        assert!(Reservation::of(port).is_err());
        reservation.release();
        assert!(is_free(port));
    }

    #[test]
    fn a_port_taken_on_the_ipv6_side_of_localhost_is_taken() {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
        assert!(Reservation::of(listener.local_addr().unwrap().port()).is_err());
    }
}
