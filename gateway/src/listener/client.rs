//! Who a client is behind trusted proxies.

use http::HeaderMap;
use std::{net::IpAddr, str::FromStr};

/// Networks in CIDR notation. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

/// An entry that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork(String);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(entry: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(entry.to_owned());
        let (address, prefix) = entry.split_once('/').map_or((entry, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| invalid())?;
        if prefix <= longest { Ok(Self { address, prefix }) } else { Err(invalid()) }
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let different = network.to_bits() ^ address.to_bits();
                different.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let different = network.to_bits() ^ address.to_bits();
                different.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    /// Reads a comma-separated list; an empty one has no network.
    fn from_str(list: &str) -> Result<Self, InvalidNetwork> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Networks {
    /// Whether the address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client of a request that came from `peer`: if that is one of these proxies, the last address of
    /// `X-Forwarded-For` that is none of them. What stands before it was told by the client itself.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut told: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .collect();
        while self.contain(client) {
            let Some(address) = told.pop() else { break };
            let Ok(address) = address.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> IpAddr {
        let proxies: Networks = "10.0.0.0/8, fd00::/8".parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers)
    }

    #[test]
    fn a_stranger_cannot_claim_another_address() {
        assert_eq!(client("192.0.2.1", &["192.0.2.9"]).to_string(), "192.0.2.1");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_counts() {
        let forwarded = ["198.51.100.1, 192.0.2.9", "10.1.1.1"];
        assert_eq!(client("10.2.2.2", &forwarded).to_string(), "192.0.2.9");
        assert_eq!(client("fd00::1", &["2001:db8::1"]).to_string(), "2001:db8::1");
    }

    #[test]
    fn a_proxy_that_tells_nothing_is_the_client() {
        assert_eq!(client("10.2.2.2", &[]).to_string(), "10.2.2.2");
        assert_eq!(client("10.2.2.2", &["unknown"]).to_string(), "10.2.2.2");
    }

    #[test]
    fn an_ipv4_peer_on_an_ipv6_socket_is_found() {
        assert_eq!(client("::ffff:10.2.2.2", &["192.0.2.9"]).to_string(), "192.0.2.9");
    }

    #[test]
    fn malformed_networks_are_refused() {
        for entry in ["10.0.0.0/33", "10.0.0/8", "::/129", "proxy", "10.0.0.0/"] {
            assert_eq!(entry.parse::<Networks>(), Err(InvalidNetwork(entry.to_owned())), "{entry}");
        }
        assert_eq!("".parse::<Networks>(), Ok(Networks::default()));
    }

    #[test]
    fn a_prefix_of_zero_contains_all_of_its_family() {
        let all: Networks = "0.0.0.0/0".parse().unwrap();
        assert!(all.contain([203, 0, 113, 7].into()));
        assert!(!all.contain("2001:db8::1".parse().unwrap()));
    }
}
