//! The payload of a close frame (RFC 6455 section 5.5.1).

use super::{
    frame::{Opcode, encode_header},
    violation::Violation,
};

/// Appends a close frame; without a code its payload is empty, which the peer sees as 1005.
pub fn encode_close(code: Option<u16>, out: &mut Vec<u8>) {
    let payload = code.map(u16::to_be_bytes);
    let payload = payload.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    encode_header(Opcode::Close, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Checks a close frame's payload and gives its code, if it has one.
pub(super) fn parse_close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::MalformedClose),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_sendable(code) {
                return Err(Violation::MalformedClose);
            }
            std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
            Ok(Some(code))
        }
    }
}

/// Codes that may stand in a frame: section 7.4 and IANA's registry (1012–1014).
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
