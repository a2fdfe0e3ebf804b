//! A chat of which a socket misses something: that is fetched, once it had the time to come by itself.

use std::time::Duration;

use crate::{
    chats::JoinedChat,
    mistake::{self, Mistake},
    output::{Output, SocketId, Timer},
    step::{Limits, Step},
};

/// What overtook something else waits this long for it before the gap is fetched.
const HOLD: Duration = Duration::from_millis(200);

/// Has what the socket misses of a chat fetched, unless that is under way. What is missing may be about to come.
pub(crate) fn heal_if_behind<L: Limits>(socket: SocketId, chat: &mut JoinedChat, step: &mut Step<'_, L>) {
    if begins(chat) {
        step.out.push(Output::After(HOLD, Timer::Heal(socket, chat.id.clone())));
    }
}

/// The same for a socket that has just recovered: what it misses does not come by itself.
pub(crate) fn heal_recovered<L: Limits>(socket: SocketId, chat: &mut JoinedChat, step: &mut Step<'_, L>) {
    if begins(chat) {
        step.out.push(Output::AwaitRoom(socket, chat.id.clone()));
    }
}

/// Whether a healing of the chat begins.
fn begins(chat: &mut JoinedChat) -> bool {
    let begins = chat.room.missing().is_some() && chat.gap.is_none() && !mistake::is_planted(Mistake::NoHealing);
    if begins {
        chat.gap = Some(Box::default());
    }
    begins
}
