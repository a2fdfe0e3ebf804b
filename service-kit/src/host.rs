//! Whether a request says whom it is for, as HTTP demands it (RFC 9112, section 3.2).

use std::net::Ipv6Addr;

use http::{HeaderMap, Version, header};

/// Whether the `Host` of a request is in order: one valid line, which only HTTP/1.0 may leave out. If not, the answer
/// is 400.
pub fn is_valid(version: Version, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::HOST).iter();
    match (lines.next(), lines.next()) {
        (None, _) => version <= Version::HTTP_10,
        (Some(host), None) => is_authority(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host of `http` is never empty (section 4.2.1).
fn is_authority(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    if let Some(literal) = host.strip_prefix('[') {
        let Some((address, port)) = literal.split_once(']') else { return false };
        return is_ip_literal(address) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    !name.is_empty() && is_name(name) && is_port(port)
}

/// What stands between brackets (RFC 3986, section 3.2.2): an IPv6 address, or one of a later version, such as `v1.x`.
fn is_ip_literal(address: &str) -> bool {
    let is_later = || {
        let (version, rest) = address.strip_prefix(['v', 'V'])?.split_once('.')?;
        let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(is_version && !rest.is_empty() && rest.bytes().all(|byte| byte == b':' || is_plain(byte)))
    };
    address.parse::<Ipv6Addr>().is_ok() || is_later().unwrap_or(false)
}

/// A registered name or an IPv4 address (RFC 3986, section 3.2.2).
fn is_name(name: &str) -> bool {
    let mut parts = name.split('%');
    parts.next().is_some_and(|part| part.bytes().all(is_plain))
        && parts.all(|part| {
            let (hex, rest) = part.as_bytes().split_at(part.len().min(2));
            hex.len() == 2 && hex.iter().all(u8::is_ascii_hexdigit) && rest.iter().copied().all(is_plain)
        })
}

/// An unreserved character or a delimiter within a name (RFC 3986, section 2).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Digits, perhaps none, of a port that there is.
fn is_port(port: &str) -> bool {
    port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn valid(version: Version, hosts: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        is_valid(version, &headers)
    }

    #[test]
    fn only_http_1_0_may_leave_it_out() {
        assert!(!valid(Version::HTTP_11, &[]));
        assert!(valid(Version::HTTP_10, &[]));
    }

    #[test]
    fn there_is_one_line_of_it() {
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(valid(version, &[b"a"]));
            assert!(!valid(version, &[b"a", b"a"]));
            assert!(!valid(version, &[b"a", b"b", b"c"]));
        }
    }

    #[test]
    fn names_and_addresses_are_hosts() {
        for host in [
            "localhost",
            "localhost:5000",
            "a.example:",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:5000",
            "[v1.a:b]:1",
            "xn--bcher-kva.example",
            "a_b",
            "%C3%BC",
            "a,b",
        ] {
            assert!(valid(Version::HTTP_11, &[host.as_bytes()]), "{host}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for host in [
            "",
            " ",
            ":",
            ":80",
            "a b",
            "a, b",
            "a/b",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:99999",
            "user@a",
            "http://a",
            "[::1",
            "::1",
            "[::1]x",
            "[1.2.3.4]",
            "[]",
            "a?b",
            "a#b",
            "a\\b",
            "a\"",
            "<a>",
            "%",
            "%4",
            "%zz",
            "a\tb",
            "ü",
            "{a}",
        ] {
            assert!(!valid(Version::HTTP_11, &[host.as_bytes()]), "{host}");
        }
        assert!(!valid(Version::HTTP_11, &[b"\xff"]));
    }
}
