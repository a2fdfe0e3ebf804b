//! The opening handshake (RFC 6455 section 4.2).

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

/// The GUID of section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request cannot be upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It does not ask for a WebSocket.
    #[error("not a WebSocket upgrade")]
    NotAnUpgrade,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("unsupported WebSocket version")]
    Version,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    #[error("malformed WebSocket key")]
    Key,
}

/// Checks the headers of an upgrade request and gives its key.
///
/// # Errors
/// What of section 4.2.1 is missing.
pub fn upgrade_key(headers: &HeaderMap) -> Result<&[u8], HandshakeError> {
    if !has_token(headers, &header::CONNECTION, "upgrade") || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?.as_bytes();
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(key),
        _ => Err(HandshakeError::Key),
    }
}

/// Whether a comma-separated header has the token, in any case.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

/// The `Sec-WebSocket-Accept` that answers `key`.
pub fn accept_key(key: &[u8]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(changes) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let headers = headers(&[]);
        let key = upgrade_key(&headers).unwrap();
        assert_eq!(accept_key(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_that_lacks_something_is_refused() {
        let refused = |name, value| upgrade_key(&headers(&[(name, value)])).unwrap_err();
        assert_eq!(refused("connection", "keep-alive"), HandshakeError::NotAnUpgrade);
        assert_eq!(refused("upgrade", "h2c"), HandshakeError::NotAnUpgrade);
        assert_eq!(refused("sec-websocket-version", "8"), HandshakeError::Version);
        assert_eq!(refused("sec-websocket-key", "c2hvcnQ="), HandshakeError::Key);
        assert_eq!(refused("sec-websocket-key", "?"), HandshakeError::Key);
    }
}
