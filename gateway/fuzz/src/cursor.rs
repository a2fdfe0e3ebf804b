//! What a client brings back to recover: only a cursor of the pid's says something, and what it says is what was
//! written.

use proto::UserId;

use super::{
    cursor::{self, MAX_JOINED, Position},
    pid::Pid,
};

const TAG: &str = "ABCDEFGH";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read_pid(text);
    let Some(positions) = cursor::read(text, TAG) else { return };
    assert!(positions.len() <= MAX_JOINED);
    assert!(positions.iter().all(|position| position.seq >= 0 && position.milestones >= 0));
    assert_eq!(write(&positions), text);
    assert_eq!(cursor::read(text, "HGFEDCBA"), None);
}

fn write(positions: &[Position]) -> String {
    cursor::write(TAG, positions.iter().map(|position| (&position.chat, position.seq, position.milestones)))
}

fn read_pid(text: &str) {
    let Ok(user) = UserId::new("alice") else { return };
    let Some(pid) = Pid::of_user(text, &user) else { return };
    assert_eq!((pid.as_str(), pid.tag().len(), pid.sid().len()), (text, 8, 20));
}
