//! Which history of the database a socket's positions belong to. After a restore the same seq may be another message.

use std::fmt;

/// The longest name: chat-service gives one of eight characters.
const MAX_BYTES: usize = 8;

/// The name of a history of the database. Of two that are equal the positions can be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Epoch([u8; MAX_BYTES]);

impl Epoch {
    /// Reads a name: 1 to 8 letters and digits. `None` if it is none, as of a service that does not tell it.
    pub fn read(name: &str) -> Option<Self> {
        let is_name = (1..=MAX_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut bytes = [0; MAX_BYTES];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        is_name.then_some(Self(bytes))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(MAX_BYTES);
        // It holds ASCII only.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for name in ["a", "0f3b9c2e", "1234567"] {
            assert_eq!(Epoch::read(name).unwrap().to_string(), name);
        }
        assert_ne!(Epoch::read("a"), Epoch::read("b"));
    }

    #[test]
    fn what_cannot_stand_in_a_cursor_is_no_name() {
        for name in ["", "123456789", "a~b", "a:b", "!", "é", "a\0"] {
            assert_eq!(Epoch::read(name), None, "{name:?}");
        }
    }
}
