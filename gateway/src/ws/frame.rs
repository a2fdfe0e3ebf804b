//! The header of a frame (RFC 6455 section 5.2).

use super::violation::Violation;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation = 0,
    /// A text message or its first fragment.
    Text = 1,
    /// A binary message or its first fragment.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// To be answered by a pong with the same payload.
    Ping = 9,
    /// The answer to a ping.
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Last fragment of its message.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Length of the header itself.
    pub(super) length: usize,
    pub(super) payload_len: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when more bytes are needed. A bad one is refused as early as
    /// its bytes show it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else {
            return bytes.first().map_or(Ok(None), |first| parse_first(*first).map(|_| None));
        };
        let (fin, opcode) = parse_first(first)?;
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & 0x7f;
        if opcode.is_control() && (short > 125 || !fin) {
            return Err(Violation::MalformedControl);
        }
        let Some((payload_len, length_len)) = parse_length(short, rest)? else { return Ok(None) };
        let Some(mask) = rest[length_len..].first_chunk() else { return Ok(None) };
        Ok(Some(Self { fin, opcode, mask: *mask, length: 6 + length_len, payload_len }))
    }
}

fn parse_first(byte: u8) -> Result<(bool, Opcode), Violation> {
    if byte & 0x70 != 0 {
        return Err(Violation::ReservedBit);
    }
    let opcode = Opcode::from_bits(byte & 0x0f).ok_or(Violation::ReservedOpcode)?;
    Ok((byte & 0x80 != 0, opcode))
}

/// The payload's length and how many bytes beside the short form it took.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let (length, length_len, least) = match short {
        126 => {
            let Some(bytes) = rest.first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*bytes)), 2, 126)
        }
        127 => {
            let Some(bytes) = rest.first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*bytes), 8, 0x1_0000)
        }
        short => (u64::from(short), 0, 0),
    };
    if length < least || length >> 63 != 0 {
        return Err(Violation::MalformedLength);
    }
    let length = usize::try_from(length).map_err(|_| Violation::TooLarge)?;
    Ok(Some((length, length_len)))
}

/// Appends the header of an unfragmented, unmasked frame.
pub fn encode_header(opcode: Opcode, payload_len: usize, out: &mut Vec<u8>) {
    out.push(0x80 | opcode as u8);
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(short), _) if short < 126 => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
}

/// Applies the mask in place (section 5.3), eight bytes at a time.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (chunks, tail) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        let headers = [0, 125, 126, 65_535, 65_536].map(|length| {
            let mut header = Vec::new();
            encode_header(Opcode::Text, length, &mut header);
            format!("{length}: {header:02x?}")
        });
        insta::assert_snapshot!(headers.join("\n"), @r"
        0: [81, 00]
        125: [81, 7d]
        126: [81, 7e, 00, 7e]
        65535: [81, 7e, ff, ff]
        65536: [81, 7f, 00, 00, 00, 00, 00, 01, 00, 00]
        ");
    }

    #[test]
    fn masks_apply_at_every_length() {
        let mask = [1, 2, 3, 4];
        for length in 0..40 {
            let mut payload = vec![0; length];
            unmask(&mut payload, mask);
            let expected: Vec<u8> = mask.iter().copied().cycle().take(length).collect();
            assert_eq!(payload, expected);
        }
    }
}
