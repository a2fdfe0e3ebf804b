//! A chat that is behind its head: what is missing is fetched, once it had the time to come by itself.

use std::time::Duration;

use crate::{
    chats::JoinedChat,
    mistake::{self, Mistake},
    output::{Output, SocketId, Timer},
    step::{Limits, Step},
};

/// A message that overtook another waits this long for it before the gap is fetched.
const HOLD: Duration = Duration::from_millis(200);

/// Has what the socket misses of a chat fetched, unless that is under way.
pub(crate) fn heal_if_behind<L: Limits>(socket: SocketId, chat: &mut JoinedChat, step: &mut Step<'_, L>) {
    if !chat.room.is_behind() || chat.gap.is_some() || mistake::is_planted(Mistake::NoHealing) {
        return;
    }
    chat.gap = Some(Box::default());
    if chat.room.is_pulling() {
        step.out.push(Output::AwaitRoom(socket, chat.id.clone()));
    } else {
        step.out.push(Output::After(HOLD, Timer::Heal(socket, chat.id.clone())));
    }
}
