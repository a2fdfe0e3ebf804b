//! Why a link to a server ended, or did not come about.

use std::io;

use thiserror::Error;

use super::protocol;

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Lost {
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(String),
    #[error("the server is silent")]
    Silent,
    #[error("the server complains: {0}")]
    Refused(String),
    #[error("the server does not speak the protocol: {0}")]
    Malformed(#[from] protocol::Violation),
}

impl Lost {
    pub(super) fn refused(error: &str) -> Self {
        Self::Refused(error.to_owned())
    }

    /// For metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Failed(_) => "failed",
            Self::Silent => "silent",
            Self::Refused(_) => "refused",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
