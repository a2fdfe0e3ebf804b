//! What a client brings back to recover: only a cursor of the pid's says something, and what it says is what was written.

use proto::UserId;

use super::{
    cursor::{self, Position},
    pid::Pid,
    session::MAX_JOINED,
};

const TAG: &str = "ABCDEFGH";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read_pid(text);
    let positions = cursor::read(text, TAG);
    assert!(positions.len() <= MAX_JOINED);
    assert!(positions.iter().all(|position| position.seq >= 0 && position.milestones >= 0));
    if positions.is_empty() {
        return;
    }
    let written = write(&positions);
    assert_eq!(cursor::read(&written, TAG), positions);
    assert_eq!(without_leading_zeros(text), written);
    assert_eq!(cursor::read(text, "HGFEDCBA"), []);
}

fn write(positions: &[Position]) -> String {
    cursor::write(TAG, positions.iter().map(|position| (&position.chat, position.seq, position.milestones)))
}

fn without_leading_zeros(cursor: &str) -> String {
    let parts = cursor.split(':').enumerate().map(|(index, part)| {
        if index == 0 {
            return part.to_owned();
        }
        // A number, and perhaps the next chat behind it.
        let end = part.find('~').unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let number = number.trim_start_matches('0');
        format!("{}{rest}", if number.is_empty() { "0" } else { number })
    });
    parts.collect::<Vec<_>>().join(":")
}

fn read_pid(text: &str) {
    let Ok(user) = UserId::new("alice") else { return };
    let Some(pid) = Pid::of_user(text, &user) else { return };
    assert_eq!((pid.as_str(), pid.tag().len(), pid.sid().len()), (text, 8, 20));
}
