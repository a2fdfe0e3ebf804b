//! One socket's commands to a match in their order; after `gateway/src/chat/order.rs`.

use std::rc::Rc;

use gateway_core::{
    lines::{Batch, Reach},
    turns::{Turn, Weighted},
};
use proto::{Code, MatchId};

use super::{
    joins::{self, Join},
    sends::{self, Draft},
    socket::Socket,
};
use crate::mistake::Mistake;

/// A command to a match.
#[derive(Debug)]
pub(super) enum Command {
    Send(Draft),
    Join(Join),
    Leave { ack: u64 },
}

impl Weighted for Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(draft) => draft.body.len(),
            Self::Join(_) | Self::Leave { .. } => 0,
        }
    }
}

impl Command {
    fn reach(&self) -> Reach {
        match self {
            Self::Send(_) => Reach::Message,
            Self::Join(join) if !join.keep_others => Reach::AllChats,
            Self::Join(_) | Self::Leave { .. } => Reach::Chat,
        }
    }

    fn ack(&self) -> u64 {
        match self {
            Self::Send(draft) => draft.ack,
            Self::Join(join) => join.ack,
            Self::Leave { ack } => *ack,
        }
    }
}

/// Takes a command, now or in its turn.
pub(super) fn take(socket: &Rc<Socket>, chat: usize, command: Command) {
    let id = socket.id_of(chat);
    if socket.world().mistake == Some(Mistake::NoTurns) {
        socket.lines.borrow_mut().done(&id);
    }
    let reach = command.reach();
    let turn = socket.lines.borrow_mut().take(&id, reach, command);
    match turn {
        Turn::Now(command) => begin(socket, Batch { chat: id, work: vec![command] }),
        Turn::Waits => {}
        Turn::Full(command) => socket.fail(command.ack(), Code::RateLimited),
    }
}

fn begin(socket: &Rc<Socket>, batch: Batch<Command>) {
    let gateway = socket.gateway();
    gateway.world.sim.spawn(gateway.process, run_in_turn(Rc::clone(socket), batch));
}

async fn run_in_turn(socket: Rc<Socket>, mut batch: Batch<Command>) {
    loop {
        let chat = socket.chat_of(&batch.chat);
        run(&socket, chat, batch.work).await;
        match go_on(&socket, &batch.chat) {
            Some(next) => batch = next,
            None => return,
        }
    }
}

fn go_on(socket: &Rc<Socket>, chat: &MatchId) -> Option<Batch<Command>> {
    let mut lines = socket.lines.borrow_mut();
    lines.done(chat);
    let first = lines.next();
    while let Some(other) = lines.next() {
        begin(socket, other);
    }
    first
}

async fn run(socket: &Rc<Socket>, chat: usize, work: Vec<Command>) {
    let mut drafts = Vec::new();
    for command in work {
        match command {
            Command::Send(draft) => drafts.push(draft),
            Command::Join(join) => joins::join(socket, chat, join).await,
            Command::Leave { ack } => joins::leave(socket, ack, chat),
        }
    }
    if !drafts.is_empty() {
        sends::send_batch(socket, chat, drafts).await;
    }
}
