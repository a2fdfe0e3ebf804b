//! Free TCP ports on loopback that no other stack takes, from below the range that the kernel hands to outgoing
//! connections.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Linux gives outgoing connections ports from 32768 up (`net.ipv4.ip_local_port_range`). A server on such a port can
/// lose it to a client between its death and its restart, even to a client that tries to reach this very port.
const RANGE: std::ops::Range<u16> = 18_000..32_000;
const ATTEMPTS: u32 = 200;
/// How long a released port is waited for, and how often it is looked at.
const FREE_WITHIN: Duration = Duration::from_secs(2);
const FREE_CHECK: Duration = Duration::from_millis(10);

/// A port kept from everybody else until [`Reservation::release`] gives it to the server it is for.
#[derive(Debug)]
pub struct Reservation {
    port: u16,
    listener: TcpListener,
    claim: Claim,
}

/// Keeps a port from all other stacks while its server is down, until it is dropped.
///
/// It is a socket that nobody sends to: one at most has its abstract name, the name is gone with its process, and it is
/// seen by exactly those who share the ports, those in the same network namespace (`unix(7)`).
#[derive(Debug)]
pub struct Claim {
    _name: UnixDatagram,
}

impl Claim {
    fn to(port: u16) -> io::Result<Self> {
        let name = SocketAddr::from_abstract_name(format!("local-stack/port/{port}"))?;
        Ok(Self { _name: UnixDatagram::bind_addr(&name)? })
    }
}

impl Reservation {
    /// Takes a port that nobody listens on and that no process has claimed.
    ///
    /// # Errors
    /// When none is found in a few hundred attempts.
    pub fn any() -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let port = RANGE.start + random_u16() % (RANGE.end - RANGE.start);
            match Self::take(port) {
                Ok(reservation) => return Ok(reservation),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => (),
                Err(error) => bail!("cannot reserve port {port}: {error}"),
            }
        }
        bail!("no free TCP port found between {} and {}", RANGE.start, RANGE.end)
    }

    /// Takes this very port.
    ///
    /// # Errors
    /// When somebody listens on it, on either address of `localhost`, or another stack has claimed it.
    pub fn of(port: u16) -> Result<Self> {
        let on_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        // Other errors mean that this machine has no IPv6.
        let taken = on_ipv6.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
        match Self::take(port) {
            Ok(reservation) if !taken => Ok(reservation),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => bail!("cannot listen on port {port}: {error}"),
            _ => bail!("port {port} is in use: stop what listens there, or choose another --port"),
        }
    }

    fn take(port: u16) -> io::Result<Self> {
        let claim = Claim::to(port)?;
        Ok(Self { port, listener: listen(port)?, claim })
    }

    /// The port number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets the port go just before its server takes it, and waits until one can listen there: a child that was forked
    /// and has not begun its program yet has copies of all that this process listened on. A port that stays taken is
    /// left to its server, which says so. The claim is for whoever may start the server again.
    pub async fn release(self) -> Claim {
        let Self { port, listener, claim } = self;
        drop(listener);
        let until = Instant::now() + FREE_WITHIN;
        while !is_free(port) && Instant::now() < until {
            sleep(FREE_CHECK).await;
        }
        claim
    }

    /// What listens on the port, for a server within this process.
    pub(crate) fn into_listener(self) -> TcpListener {
        self.listener
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_handed_out_once_even_when_it_is_free_again() {
        let free_again = |Reservation { port, claim, .. }| (port, claim);
        let handed_out: Vec<(u16, Claim)> = std::thread::scope(|scope| {
            let taker = || (0..50).map(|_| free_again(Reservation::any().unwrap())).collect::<Vec<_>>();
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(taker)).collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        let ports: HashSet<u16> = handed_out.iter().map(|(port, _)| *port).collect();
        assert!(ports.iter().all(|port| RANGE.contains(port)));
        assert_eq!(ports.len(), 400);
    }

    #[tokio::test]
    async fn a_reserved_port_is_taken_until_it_is_released() {
        let reservation = Reservation::any().unwrap();
        let port = reservation.port();
        assert!(!is_free(port));
        assert!(Reservation::of(port).is_err());
        drop(reservation);
        let claim = Reservation::of(port).unwrap().release().await;
        assert!(is_free(port));
        // The server may take it now, other stacks may not.
        assert!(Reservation::of(port).is_err());
        drop(claim);
        Reservation::of(port).unwrap();
    }

    #[tokio::test]
    async fn a_port_is_released_when_no_copy_of_its_listener_is_left() {
        let reservation = Reservation::any().unwrap();
        let port = reservation.port();
        let copy = reservation.listener.try_clone().unwrap();
        let mut released = std::pin::pin!(reservation.release());
        assert!(tokio::time::timeout(5 * FREE_CHECK, &mut released).await.is_err(), "a copy still listens");
        drop(copy);
        let _claim = released.await;
        assert!(is_free(port));
    }

    #[test]
    fn a_port_taken_on_the_ipv6_side_of_localhost_is_taken() {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
        assert!(Reservation::of(listener.local_addr().unwrap().port()).is_err());
    }
}
