//! Commands to messages in the socket's line: what `edit_message`, `delete_message` and `react` have in common.

use std::borrow::Cow;

use proto::MatchId;

use crate::{
    arguments,
    command::Command,
    failure::Failure,
    lines::Batch,
    message_command::{MessageAct, MessageCommand, MessageDone},
    output::{Ask, TurnId},
    reply::Reply,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// The fields that all of them have.
pub(crate) fn command_to(
    match_id: Cow<'_, str>,
    (seq, client_id): (i64, Option<Cow<'_, str>>),
    act: MessageAct,
) -> Result<(MatchId, MessageCommand), Failure> {
    Ok((arguments::match_id(match_id)?, MessageCommand::new(seq, client_id.as_deref(), act)?))
}

/// What was read, as a command in the socket's line; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    socket: &SocketState<L::Ticket>,
    read: Result<(MatchId, MessageCommand), Failure>,
    reply: Reply,
    step: &mut Step<'_, L>,
) -> Option<(MatchId, Command<L::Ticket>)> {
    match read {
        Ok((chat, command)) => Some((chat, Command::Change(Box::new(command), reply))),
        Err(failure) => {
            step.fail(socket.id, &reply, &failure);
            None
        }
    }
}

/// Asks for what is to be done, as it is its turn.
pub(crate) fn begin<L: Limits>((turn, chat): (TurnId, &MatchId), command: &MessageCommand, step: &mut Step<'_, L>) {
    step.ask(Ask::Change { turn, chat: chat.clone(), command: command.clone() });
}

/// Answers a command of which it is known what has become of it.
pub(crate) fn end<L: Limits>(
    socket: &SocketState<L::Ticket>,
    batch: &Batch<Command<L::Ticket>>,
    done: Result<MessageDone, Failure>,
    step: &mut Step<'_, L>,
) {
    let [Command::Change(command, reply)] = &batch.work[..] else { return };
    match done {
        Ok(done) => step.ok(socket.id, reply, done.json(&batch.chat, command.seq)),
        Err(failure) => step.fail(socket.id, reply, &failure),
    }
}
