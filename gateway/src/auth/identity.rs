//! Whom a token speaks for.

use proto::UserId;

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user.
    User {
        /// The claim `sub`.
        id: UserId,
        /// The claim `iat`: Unix time in milliseconds.
        issued_at_ms: i64,
        /// When it ends, as Unix time in whole seconds: the claim `exp`, or the end of the leeway if that has passed.
        expires_at_s: i64,
    },
    /// The app server: the claim `scope` is `service`.
    Service {
        /// The claim `sub`, or `app-server` where it is no id: the name under which its tokens are revoked.
        name: UserId,
        /// The claim `iat`: Unix time in milliseconds.
        issued_at_ms: i64,
    },
}

impl Identity {
    /// What a revocation goes by: the name, and the time of issue as Unix time in milliseconds.
    pub fn issue(&self) -> (&UserId, i64) {
        match self {
            Self::User { id: name, issued_at_ms, .. } | Self::Service { name, issued_at_ms } => (name, *issued_at_ms),
        }
    }
}
