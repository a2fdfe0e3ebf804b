//! What a client brings back to recover: only a cursor of the pid's says something, and what it says is what was
//! written.

use proto::UserId;

use super::{
    cursor::{self, Cursor, Line, MAX_JOINED},
    pid::Pid,
};

const TAG: &str = "ABCDEFGH";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read_pid(text);
    let Some(cursor) = cursor::read(text, TAG) else { return };
    assert!(cursor.chats.len() <= MAX_JOINED);
    assert!(cursor.chats.iter().all(|position| position.seq >= 0 && position.rev >= 0));
    assert_eq!(write(&cursor), text);
    assert_eq!(cursor::read(text, "HGFEDCBA"), None);
}

fn write(Cursor { epoch, chats, call }: &Cursor) -> String {
    let call = call.as_ref().map(|call| (call.id.as_str(), call.version));
    let positions = chats.iter().map(|position| (&position.chat, position.seq, position.rev));
    cursor::write(Line { tag: TAG, epoch: *epoch, call }, positions)
}

fn read_pid(text: &str) {
    let Ok(user) = UserId::new("alice") else { return };
    let Some(pid) = Pid::of_user(text, &user) else { return };
    assert_eq!((pid.as_str(), pid.tag().len(), pid.sid().len()), (text, 8, 20));
}
