//! Session ids: the one place where they are made.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{borrow::Borrow, fmt, io};

/// Random bytes of an id: 120 bits, not to be guessed.
const RANDOM_BYTES: usize = 15;

/// Characters of an id.
const LENGTH: usize = RANDOM_BYTES / 3 * 4;

/// A session id: 20 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; LENGTH]);

impl Sid {
    /// A new id.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> io::Result<Self> {
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        let mut text = [0; LENGTH];
        URL_SAFE_NO_PAD.encode_slice(random, &mut text).map_err(io::Error::other)?;
        Ok(Self(text))
    }

    /// The id's characters.
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Borrow<[u8]> for Sid {
    fn borrow(&self) -> &[u8] {
        &self.0
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
