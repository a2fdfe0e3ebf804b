//! The private session id by which a socket is known across reconnects, on any gateway.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::UserId;

/// Random bytes in a pid.
pub const RANDOM_BYTES: usize = 16;
const USER_BYTES: usize = 6;
/// 20 characters, as the reference server's ids have.
const SID_BYTES: usize = 15;

/// A pid: base64url of 16 random bytes and the first 6 bytes of the SHA-256 of its user's id. No gateway keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pid(Box<str>);

impl Pid {
    /// The pid of a user with these random bytes.
    pub fn from_random(random: [u8; RANDOM_BYTES], user: &UserId) -> Self {
        let mut bytes = [0; RANDOM_BYTES + USER_BYTES];
        bytes[..RANDOM_BYTES].copy_from_slice(&random);
        bytes[RANDOM_BYTES..].copy_from_slice(&user_bytes(user));
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// The pid that a client brings back, if it is this user's.
    pub fn of_user(text: &str, user: &UserId) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let fits = bytes.len() == RANDOM_BYTES + USER_BYTES && bytes[RANDOM_BYTES..] == user_bytes(user);
        fits.then(|| Self(text.into()))
    }

    /// The pid as clients know it. It is secret: who knows it, and is the user, takes over the socket.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The public id of the socket: as constant as the pid, which it does not betray.
    pub fn sid(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..SID_BYTES])
    }

    /// What a cursor carries to say which pid it belongs to: the first 48 random bits.
    pub fn tag(&self) -> &str {
        &self.0[..8]
    }
}

fn user_bytes(user: &UserId) -> [u8; USER_BYTES] {
    let hash = digest::digest(&digest::SHA256, user.as_str().as_bytes());
    let mut bytes = [0; USER_BYTES];
    bytes.copy_from_slice(&hash.as_ref()[..USER_BYTES]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_pid_is_its_users_alone() {
        let pid = Pid::from_random([7; RANDOM_BYTES], &user("alice"));
        assert_eq!(pid.as_str().len(), 30);
        assert_eq!(Pid::of_user(pid.as_str(), &user("alice")), Some(pid.clone()));
        assert_eq!(Pid::of_user(pid.as_str(), &user("bob")), None);
    }

    #[test]
    fn two_pids_of_a_user_differ_in_their_tags() {
        let [one, other] = [1, 2].map(|byte| Pid::from_random([byte; RANDOM_BYTES], &user("alice")));
        assert_ne!(one.tag(), other.tag());
    }

    #[test]
    fn what_is_no_pid_is_nobodys() {
        for text in ["", "x", "é", &"A".repeat(30), &"A".repeat(31), &"=".repeat(30)] {
            assert_eq!(Pid::of_user(text, &user("alice")), None, "{text:?}");
        }
    }
}
