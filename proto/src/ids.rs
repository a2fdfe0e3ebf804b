//! Ids as validated newtypes: an id is always a legal subject token, Redis key part and URL segment.

use std::fmt;

use thiserror::Error;

/// The longest id of a user, match, call or device, in bytes.
pub const MAX_ID_LEN: usize = 64;

/// Why a string is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Ids of users and matches are `[A-Za-z0-9_-]{1,64}`.
    #[error("an id is 1 to 64 of A-Z a-z 0-9 _ -")]
    Malformed,
    /// A clientId is 1 to 64 characters and holds no NUL.
    #[error("a clientId is 1 to 64 characters, none of them NUL")]
    MalformedClientId,
}

fn is_token(text: &str) -> bool {
    (1..=MAX_ID_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

macro_rules! token_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id, if `text` is `[A-Za-z0-9_-]{1,64}`.
            pub fn new(text: impl AsRef<str> + Into<Box<str>>) -> Result<Self, IdError> {
                if is_token(text.as_ref()) { Ok(Self(text.into())) } else { Err(IdError::Malformed) }
            }

            /// The id as it stands on every wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

token_id! {
    /// A match: the app's own id of a pair of users who may chat.
    MatchId
}
token_id! {
    /// A user: the app's own id, `sub` of the user's token.
    UserId
}
token_id! {
    /// A call, named by signaling-service.
    CallId
}

/// The sender's own name for a message, unique per match and sender: what makes a repeat a duplicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// The id, if `text` has 1 to 64 characters and no NUL (which PostgreSQL's text cannot hold).
    pub fn new(text: impl AsRef<str> + Into<Box<str>>) -> Result<Self, IdError> {
        let fits = (1..=MAX_ID_LEN).contains(&text.as_ref().chars().count());
        if fits && !text.as_ref().contains('\0') { Ok(Self(text.into())) } else { Err(IdError::MalformedClientId) }
    }

    /// The id as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_of_legal_characters_is_accepted() {
        for id in ["a", "demo", "A-Z_09", &"x".repeat(64)] {
            assert_eq!(MatchId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_a_subject_would_misread_is_no_id() {
        for id in ["", "a.b", "*", ">", "a b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(UserId::new(id), Err(IdError::Malformed), "{id:?}");
        }
    }

    #[test]
    fn a_client_id_counts_characters_and_refuses_nul() {
        assert!(ClientId::new("é".repeat(64)).is_ok());
        assert!(ClientId::new("é".repeat(65)).is_err());
        assert!(ClientId::new("").is_err());
        assert!(ClientId::new("a\0b").is_err());
    }

    proptest! {
        #[test]
        fn every_id_is_one_subject_token(text in ".*") {
            if let Ok(id) = MatchId::new(text.as_str()) {
                prop_assert!(id.as_str().split(['.', ' ', '*', '>']).count() == 1);
            }
        }
    }
}
