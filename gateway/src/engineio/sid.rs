//! Session ids: the one place where they are made.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{borrow::Borrow, fmt, io};

/// Random bytes of an id: 120 bits, not to be guessed.
const RANDOM_BYTES: usize = 15;

/// A session id of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sid(Box<str>);

/// Where the ids of polling sessions come from. (A WebSocket's session is never asked for by its id.)
pub trait SidSource: fmt::Debug + Send + Sync {
    /// A new id, not to be guessed, of `[A-Za-z0-9_-]`.
    ///
    /// # Errors
    /// When the system gives no randomness.
    fn sid(&self) -> io::Result<Box<str>>;
}

/// Random ids that mean nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSids;

impl SidSource for RandomSids {
    fn sid(&self) -> io::Result<Box<str>> {
        Sid::random().map(|sid| sid.0)
    }
}

impl Sid {
    /// A new random id.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> io::Result<Self> {
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(random).into()))
    }

    /// A new id of a source.
    pub(super) fn of(source: &dyn SidSource) -> io::Result<Self> {
        source.sid().map(Self)
    }

    /// The id's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Borrow<[u8]> for Sid {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_distinct_and_fit_a_query() {
        let ids: HashSet<Sid> = (0..1000).map(|_| Sid::random().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(ids.iter().all(|sid| sid.as_str().len() == 20 && sid.as_str().chars().all(is_plain)));
    }
}
