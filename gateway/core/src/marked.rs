//! What marks have come to, as those who wait for it are told.

use proto::{MatchId, chat::Position};

use crate::{
    failure::Failure,
    mark_read,
    marks::{Marks, Waiter},
    step::{Limits, Step},
};

/// chat-service has said where the user stands in a chat, or why it does not.
pub(crate) fn answered<L: Limits>(
    marks: &mut Marks,
    chat: &MatchId,
    marked: &Result<Position, Failure>,
    step: &mut Step<'_, L>,
) {
    let is_unknown = marked.as_ref().is_err_and(|failure| failure.code.is_retryable());
    for waiter in marks.answered(chat, is_unknown, step) {
        match waiter {
            Waiter::Read(socket, reply, seq) => mark_read::end((socket, &reply), (chat, seq), marked, step),
            Waiter::Several(several) => several.end(chat, marked, step),
        }
    }
}
