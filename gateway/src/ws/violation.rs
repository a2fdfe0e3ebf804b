//! How a client may break the protocol, and the code that it is closed with.

/// Status code of a close frame (RFC 6455 section 7.4.1); only those that a server of ours sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// A frame that breaks the framing rules.
    ProtocolError = 1002,
    /// Text that is not UTF-8.
    InvalidPayload = 1007,
    /// A message in more fragments than anybody needs.
    PolicyViolation = 1008,
    /// A message larger than the limit.
    TooLarge = 1009,
    /// There is no room for more now (IANA's registry).
    TryAgainLater = 1013,
}

/// How the client broke RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set although no extension was negotiated (section 5.2).
    #[error("reserved bit set")]
    ReservedBit,
    /// An opcode that RFC 6455 leaves undefined (section 5.2).
    #[error("reserved opcode")]
    ReservedOpcode,
    /// A client's frame without mask (section 5.1).
    #[error("frame without mask")]
    Unmasked,
    /// A length that is not in its shortest form, or has its top bit set (section 5.2).
    #[error("malformed length")]
    MalformedLength,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    #[error("malformed control frame")]
    MalformedControl,
    /// A close frame with one byte or an undefined status code (section 7.4).
    #[error("malformed close frame")]
    MalformedClose,
    /// A continuation without a start, or a start within a fragmented message (section 5.4).
    #[error("fragment out of place")]
    FragmentOutOfPlace,
    /// Text or a close reason that is not UTF-8 (section 8.1).
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A message larger than the limit.
    #[error("message too large")]
    TooLarge,
    /// A message in more fragments than anybody needs.
    #[error("too many fragments")]
    TooManyFragments,
}

impl Violation {
    /// The code to close with.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 => CloseCode::InvalidPayload,
            Self::TooLarge => CloseCode::TooLarge,
            Self::TooManyFragments => CloseCode::PolicyViolation,
            _ => CloseCode::ProtocolError,
        }
    }
}
