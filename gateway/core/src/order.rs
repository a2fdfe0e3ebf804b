//! One socket's commands to a match, in the order in which the socket emitted them: the one place where their turns
//! begin and end.

use std::time::Duration;

use proto::{Code, MatchId, chat::SendReply};

use crate::{
    command::{Command, Queues},
    failure::Failure,
    join_chat, leave_chat,
    lines::Batch,
    message_command::MessageDone,
    message_line,
    mistake::{self, Mistake},
    output::{Opened, Output, Timer, TurnId},
    send_message,
    socket_state::SocketState,
    step::{Limits, Step},
    turns::{RETRY_AFTER, Turn},
    typing,
};

/// What is told of typing after a message waits until the message has come around, as it would overtake it else, and
/// the receiver takes a message for the end of the typing; but it waits no longer than this.
const OWN_COMES_WITHIN: Duration = Duration::from_millis(500);

type Work<L> = Batch<Command<<L as Limits>::Ticket>>;

/// Takes a command: it begins now, or when those before it are done.
pub(crate) fn take<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: MatchId,
    command: Command<L::Ticket>,
    step: &mut Step<'_, L>,
) {
    let lines = &mut queues::<L>(socket).lines;
    match lines.take(&chat, command.reach(), command) {
        Turn::Now(command) => begin(socket, Batch { chat, work: vec![command] }, step),
        Turn::Waits => {}
        Turn::Full(command) => step.fail(socket.id, command.reply(), &Failure::rate_limited(RETRY_AFTER)),
    }
    go_on(socket, step);
}

/// Messages were stored, or not.
pub(crate) fn sent<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    number: u64,
    reply: SendReply,
    step: &mut Step<'_, L>,
) {
    end(socket, number, step, |socket, batch, step| send_message::end(socket, batch, reply, step));
}

/// A message was changed, or not.
pub(crate) fn changed<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    number: u64,
    done: Result<MessageDone, Failure>,
    step: &mut Step<'_, L>,
) {
    end(socket, number, step, |socket, batch, step| message_line::end(socket, batch, done, step));
}

/// What a join asked for was read, or not.
pub(crate) fn opened<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    number: u64,
    opened: Opened,
    step: &mut Step<'_, L>,
) {
    end(socket, number, step, |socket, batch, step| {
        if let [Command::Join(join, reply)] = &batch.work[..] {
            join_chat::end(socket, &batch.chat, (*join, reply), (opened, step));
        }
    });
}

/// A command waits no longer for the message before it.
pub(crate) fn own_is_late<L: Limits>(socket: &mut SocketState<L::Ticket>, number: u64, step: &mut Step<'_, L>) {
    end(socket, number, step, |socket, batch, step| run_changes(socket, batch, step));
}

/// Lets commands go on that waited for a message of their socket that has come around now.
pub(crate) fn own_may_have_come<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    while let Some(number) = over(socket) {
        own_is_late(socket, number, step);
    }
}

/// The number of a command that waits for a message of its socket that has come.
fn over<T>(socket: &mut SocketState<T>) -> Option<u64> {
    let chats = &mut socket.chats;
    let mut has_come = |chat: &MatchId| chats.open_chat(chat).is_none_or(|chat| !chat.awaits_own());
    socket.queues.as_ref()?.awaiting_own().find(|(_, chat)| has_come(chat)).map(|(number, _)| number)
}

/// Ends the turn of the commands with this number, whatever happens while that is done, and begins what may go on.
fn end<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    number: u64,
    step: &mut Step<'_, L>,
    work: impl FnOnce(&mut SocketState<L::Ticket>, &Work<L>, &mut Step<'_, L>),
) {
    let Some(batch) = socket.queues.as_mut().and_then(|queues| queues.finish(number)) else { return };
    let is_done = step.contained(|step| {
        work(socket, &batch, step);
        mistake::panic_if_planted(Mistake::PanicInAnswer);
    });
    if !is_done {
        batch.work.iter().for_each(|command| step.fail(socket.id, command.reply(), &Code::Internal.into()));
        // Nobody knows what it was given. Its client comes back and says so.
        step.out.push(Output::Close(socket.id));
    }
    queues::<L>(socket).lines.done(&batch.chat);
    go_on(socket, step);
}

/// Begins all commands that may go on.
fn go_on<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    while let Some(batch) = queues::<L>(socket).lines.next() {
        begin(socket, batch, step);
    }
    socket.tidy();
}

/// Begins commands to one match: they are at work until they are [ended](end), or done at once.
fn begin<L: Limits>(socket: &mut SocketState<L::Ticket>, mut batch: Work<L>, step: &mut Step<'_, L>) {
    let turn = TurnId { socket: socket.id, number: step.at.chance(step.out.len() as u64) };
    let mut goes_on = false;
    if !step.contained(|step| goes_on = start(socket, turn, &mut batch, step)) {
        batch.work.iter().for_each(|command| step.fail(socket.id, command.reply(), &Code::Internal.into()));
    }
    let queues = queues::<L>(socket);
    if goes_on {
        queues.at_work.push((turn.number, batch));
    } else {
        queues.lines.done(&batch.chat);
    }
}

/// Does what can be done now. True if the commands are at work until something else has happened.
fn start<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    turn: TurnId,
    batch: &mut Work<L>,
    step: &mut Step<'_, L>,
) -> bool {
    mistake::panic_if_planted(Mistake::PanicInTurn);
    match &batch.work[..] {
        [Command::Send(_), ..] => {
            send_message::begin(socket, turn, batch, step);
            true
        }
        [Command::Change(command, _)] => {
            message_line::begin((turn, &batch.chat), command, step);
            true
        }
        // A socket that is gone opens no chats and is not shown as typing: nobody would close them, and nothing would
        // end it.
        _ if socket.is_gone => false,
        [Command::Join(join, reply)] => join_chat::begin(socket, (turn, &batch.chat), (*join, reply), step),
        // Both may tell the other members that the user has stopped typing.
        _ if socket.chats.open_chat(&batch.chat).is_some_and(|chat| chat.awaits_own()) => {
            step.out.push(Output::After(OWN_COMES_WITHIN, Timer::OwnIsLate(turn)));
            true
        }
        _ => {
            run_changes(socket, batch, step);
            false
        }
    }
}

fn run_changes<L: Limits>(socket: &mut SocketState<L::Ticket>, batch: &Work<L>, step: &mut Step<'_, L>) {
    if socket.is_gone {
        return;
    }
    for command in &batch.work {
        match command {
            Command::Leave(reply) => leave_chat::run(socket, &batch.chat, reply, step),
            Command::Typing(is_typing, reply) => typing::run(socket, &batch.chat, (*is_typing, reply), step),
            Command::Send(_) | Command::Change(..) | Command::Join(..) => {}
        }
    }
}

fn queues<L: Limits>(socket: &mut SocketState<L::Ticket>) -> &mut Queues<L::Ticket> {
    socket.queues.get_or_insert_default()
}
