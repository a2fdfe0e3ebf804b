//! Runs the commands to matches: those of one socket to one match in the order in which the socket emitted them.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use proto::MatchId;
use tracing::Instrument;

use super::{
    Context, Socket,
    joins::{self, Join},
    lines::{Batch, Reach},
    reply::Reply,
    sends::{self, Draft},
    turns::{RETRY_AFTER, Turn, Weighted},
    typing_commands,
};
use crate::failure::Failure;

/// A command to a match.
#[derive(Debug)]
pub(crate) enum Command {
    /// `send_message`.
    Send(Draft),
    /// `join_chat`.
    Join(Join, Reply),
    /// `leave_chat`.
    Leave(Reply),
    /// `typing`, with `isTyping`.
    Typing(bool, Reply),
}

impl Weighted for Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(draft) => draft.bytes(),
            Self::Join(..) | Self::Leave(_) | Self::Typing(..) => 0,
        }
    }
}

impl Command {
    fn reach(&self) -> Reach {
        match self {
            Self::Send(_) => Reach::Message,
            Self::Join(join, _) if !join.keep_others => Reach::AllChats,
            Self::Join(..) | Self::Leave(_) | Self::Typing(..) => Reach::Chat,
        }
    }

    fn into_reply(self) -> Reply {
        match self {
            Self::Send(draft) => draft.into_reply(),
            Self::Join(_, reply) | Self::Leave(reply) | Self::Typing(_, reply) => reply,
        }
    }
}

/// Takes a command: it is run now, or when those before it are done.
pub(super) fn take(context: &Arc<Context>, socket: &Arc<Socket>, chat: MatchId, command: Command) {
    let Some(command) = run_at_once(context, socket, &chat, command) else { return };
    let turn = socket.session().lines.take(&chat, command.reach(), command);
    match turn {
        Turn::Now(command) => {
            let batch = Batch { chat, work: vec![command] };
            socket.emitter.run(run_in_turn(Arc::clone(context), Arc::clone(socket), batch));
        }
        Turn::Waits => {}
        Turn::Full(command) => command.into_reply().fail(&Failure::rate_limited(RETRY_AFTER)),
    }
}

/// Runs a command that has to wait for nothing; gives any other back. Events of one socket are handled one after the other, so
/// nothing can come to wait for it meanwhile.
fn run_at_once(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId, command: Command) -> Option<Command> {
    if !socket.session().lines.is_free(chat, command.reach()) {
        return Some(command);
    }
    match command {
        Command::Join(..) | Command::Send(_) => return Some(command),
        // Both may tell the other member that the user has stopped typing.
        Command::Leave(_) | Command::Typing(..) if typing_commands::awaits_own(socket, chat) => return Some(command),
        Command::Leave(reply) => joins::run_leave(context, socket, chat, reply),
        Command::Typing(is_typing, reply) => typing_commands::run(context, socket, chat, (is_typing, reply)),
    }
    None
}

async fn run_in_turn(context: Arc<Context>, socket: Arc<Socket>, mut batch: Batch<Command>) {
    loop {
        let Batch { chat, work } = batch;
        contained(run(&context, &socket, &chat, work)).await;
        match go_on(&context, &socket, &chat) {
            Some(next) => batch = next,
            None => return,
        }
    }
}

/// Does the work of a turn; `None` if it panics. A panic must not keep the turn: it was logged where it happened, and the commands were
/// answered as they were dropped.
pub(super) async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// The commands to a match are done. Of those that may go on the first are returned, and the others begun.
fn go_on(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId) -> Option<Batch<Command>> {
    let mut session = socket.session();
    session.lines.done(chat);
    let first = session.lines.next();
    while let Some(other) = session.lines.next() {
        socket.emitter.run(run_in_turn(Arc::clone(context), Arc::clone(socket), other));
    }
    first
}

async fn run(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId, work: Vec<Command>) {
    let mut drafts = Vec::with_capacity(work.len());
    for command in work {
        match command {
            Command::Send(draft) => drafts.push(draft),
            change => run_change(context, socket, chat, change).await,
        }
    }
    if let Some(first) = drafts.first() {
        let span = first.span();
        sends::send_batch(context, socket, chat, drafts).instrument(span).await;
    }
}

async fn run_change(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId, change: Command) {
    // A socket that is gone opens no chats and is not shown as typing: nobody would close them, and nothing would end it.
    if socket.emitter.is_closed() {
        return;
    }
    match change {
        // In a box, as sends are more frequent and need less room.
        Command::Join(join, reply) => Box::pin(joins::run_join(context, socket, chat, (join, reply))).await,
        Command::Leave(reply) => {
            typing_commands::own_has_come(socket, chat).await;
            joins::run_leave(context, socket, chat, reply);
        }
        Command::Typing(is_typing, reply) => {
            typing_commands::own_has_come(socket, chat).await;
            typing_commands::run(context, socket, chat, (is_typing, reply));
        }
        Command::Send(_) => {}
    }
}
