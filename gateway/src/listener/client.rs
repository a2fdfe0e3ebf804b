//! Who a client is behind trusted proxies.

use http::HeaderMap;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// Networks in CIDR notation. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// An entry that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork(String);

/// Reads a network, or a single address.
fn network(entry: &str) -> Result<IpNet, InvalidNetwork> {
    let address = || entry.parse().map(|address: IpAddr| address.into());
    entry.parse().or_else(|_| address()).map_err(|_| InvalidNetwork(entry.to_owned()))
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    /// Reads a comma-separated list; an empty one has no network.
    fn from_str(list: &str) -> Result<Self, InvalidNetwork> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Networks {
    /// Whether the address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`: if that is one of these proxies, the last address of
    /// `X-Forwarded-For` that is none of them. What stands before it was told by the client itself.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let mut told = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        while self.contain(client) {
            // A list may have empty elements (RFC 9110, section 5.6.1).
            let Some(element) = told.by_ref().find(|element| !element.is_empty()) else { break };
            let Some(address) = address_of(element) else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// The address in an element of `X-Forwarded-For`. Some proxies add the port, some write IPv6 in brackets.
fn address_of(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip())).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(peer: &str, forwarded: &[&'static str]) -> IpAddr {
        client_of_bytes(peer, &forwarded.iter().map(|line| line.as_bytes()).collect::<Vec<_>>())
    }

    fn client_of_bytes(peer: &str, forwarded: &[&[u8]]) -> IpAddr {
        let proxies: Networks = "10.0.0.0/8, fd00::/8".parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
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
    fn an_address_is_found_in_each_form_in_which_proxies_write_it() {
        for told in
            ["192.0.2.9", " 192.0.2.9\t", "192.0.2.9:51234", "::ffff:192.0.2.9", "[::ffff:192.0.2.9]:1", "192.0.2.9, ,"]
        {
            assert_eq!(client("10.2.2.2", &[told]).to_string(), "192.0.2.9", "{told}");
        }
        for told in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:51234", "10.1.1.1, 2001:db8::1, [fd00::2]:443"] {
            assert_eq!(client("10.2.2.2", &[told]).to_string(), "2001:db8::1", "{told}");
        }
    }

    #[test]
    fn what_a_client_wrote_before_does_not_hide_it() {
        for before in [&b"\xff"[..], b"unknown", b"", b",,,", b"10.9.9.9", b"198.51.100.1, _hidden", b"\"[::\""] {
            let line = [before, b", 192.0.2.9"].concat();
            assert_eq!(client_of_bytes("10.2.2.2", &[&line]).to_string(), "192.0.2.9", "{line:?}");
            assert_eq!(client_of_bytes("10.2.2.2", &[before, b"192.0.2.9"]).to_string(), "192.0.2.9", "{before:?}");
        }
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
