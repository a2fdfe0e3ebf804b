//! Session ids that name their owner, under a seal that only gateways can make and check.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use aws_lc_rs::{constant_time, hmac, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::engineio::SidSource;

/// 96 bits that nobody can guess.
const RANDOM_BYTES: usize = 12;
/// 96 bits of the HMAC: too many to try over a network.
const SEAL_BYTES: usize = 12;
const PORT_BYTES: usize = 2;

/// The secrets of the gateways, shared by all of them. The first one seals; all of them are believed, so that a new one can
/// take over without an end of the sessions.
#[derive(Clone)]
pub struct SealKeys(Vec<hmac::Key>);

impl FromStr for SealKeys {
    type Err = &'static str;

    /// Reads secrets separated by commas.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let secrets = list.split(',').map(str::trim).filter(|secret| !secret.is_empty());
        let keys: Vec<_> = secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect();
        if keys.is_empty() { Err("at least one secret is needed") } else { Ok(Self(keys)) }
    }
}

impl SealKeys {
    /// A key of this process alone: no other gateway can then take its sessions' requests.
    pub fn random() -> io::Result<Self> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self(vec![hmac::Key::new(hmac::HMAC_SHA256, &secret)]))
    }
}

impl fmt::Debug for SealKeys {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// Seals the ids of this gateway's sessions, and opens those of all.
#[derive(Debug)]
pub struct Sealer {
    address: SocketAddr,
    keys: SealKeys,
}

impl Sealer {
    /// A sealer of the gateway that the others reach at `address`.
    pub fn new(address: SocketAddr, keys: SealKeys) -> Self {
        Self { address, keys }
    }

    /// Where the other gateways reach this one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new session id: base64url of the address, random bytes and the seal.
    fn seal(&self) -> io::Result<Box<str>> {
        let mut id = address_bytes(self.address);
        let random_at = id.len();
        id.resize(random_at + RANDOM_BYTES, 0);
        rand::fill(&mut id[random_at..]).map_err(|_| io::Error::other("no randomness"))?;
        let seal = self.keys.0.first().map(|key| hmac::sign(key, &id));
        let seal = seal.ok_or_else(|| io::Error::other("no key"))?;
        id.extend_from_slice(&seal.as_ref()[..SEAL_BYTES]);
        Ok(URL_SAFE_NO_PAD.encode(id).into())
    }

    /// The gateway that made a session id; `None` if none of ours did.
    pub fn owner(&self, id: &str) -> Option<SocketAddr> {
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (content, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        let is_sealed = self.keys.0.iter().any(|key| {
            constant_time::verify_slices_are_equal(&hmac::sign(key, content).as_ref()[..SEAL_BYTES], seal).is_ok()
        });
        let address = content.get(..content.len().checked_sub(RANDOM_BYTES)?)?;
        is_sealed.then(|| read_address(address))?
    }
}

impl SidSource for Sealer {
    fn sid(&self) -> io::Result<Box<str>> {
        self.seal()
    }
}

fn address_bytes(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend_from_slice(&address.port().to_be_bytes());
    bytes
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(PORT_BYTES)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    let ip = match ip.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer(address: &str, keys: &str) -> Sealer {
        Sealer::new(address.parse().unwrap(), keys.parse().unwrap())
    }

    #[test]
    fn every_gateway_with_the_secret_knows_the_owner() {
        for address in ["10.1.2.3:5000", "[fd00::7]:5000"] {
            let id = sealer(address, "one").seal().unwrap();
            assert_eq!(sealer("10.9.9.9:1", "one").owner(&id), Some(address.parse().unwrap()));
        }
    }

    #[test]
    fn an_id_that_was_changed_anywhere_is_nobodys() {
        let gateway = sealer("10.1.2.3:5000", "one");
        let id = gateway.seal().unwrap();
        for index in 0..id.len() {
            let mut forged = id.as_bytes().to_vec();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(gateway.owner(std::str::from_utf8(&forged).unwrap()), None, "{index}");
        }
        assert_eq!(sealer("10.1.2.3:5000", "another").owner(&id), None);
    }

    #[test]
    fn a_new_key_takes_over_without_an_end_of_the_sessions() {
        let old = sealer("10.1.2.3:5000", "old").seal().unwrap();
        let both = sealer("10.9.9.9:1", "new,old");
        assert!(both.owner(&old).is_some());
        let new = both.seal().unwrap();
        assert!(sealer("10.1.2.3:5000", "old").owner(&new).is_none());
        assert!(sealer("10.1.2.3:5000", "old,new").owner(&new).is_some());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_open(text in ".{0,80}") {
            prop_assert_eq!(sealer("10.1.2.3:5000", "one").owner(&text), None);
        }
    }
}
