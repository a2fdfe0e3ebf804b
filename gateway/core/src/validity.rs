//! From when to when a token is good.

/// When a token was issued, as Unix time in milliseconds, and when it expires, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it was issued, in milliseconds.
    pub issued_at_ms: i64,
    /// When it expires, in seconds.
    pub expires_at_s: i64,
    /// It was revoked since it was checked.
    pub is_revoked: bool,
}
