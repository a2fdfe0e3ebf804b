//! `join_chat` and `leave_chat`; after `gateway/src/chat/joins.rs`.

use std::rc::Rc;

use proto::Code;

use super::{delivery, socket::Socket};
use crate::{
    mistake::Mistake,
    pipe::{Answered, Down},
    store::Snapshot,
};

/// Messages in an ack; few, so that the runs have several pages.
const PAGE: usize = 4;

/// How a chat is to be opened.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) ack: u64,
    pub(super) since_seq: Option<i64>,
    pub(super) keep_others: bool,
}

pub(super) async fn join(socket: &Rc<Socket>, chat: usize, Join { ack, since_seq, keep_others }: Join) {
    let id = socket.id_of(chat);
    if !socket.session.borrow_mut().begin_join(&id, keep_others) {
        return socket.fail(ack, Code::RateLimited);
    }
    let snapshot = match snapshot(socket, chat, since_seq).await {
        Ok(snapshot) => snapshot,
        Err(code) => {
            delivery::join_failed(socket, &id);
            return socket.fail(ack, code);
        }
    };
    let mut session = socket.session.borrow_mut();
    let Some(joined) = session.chat(&id) else { return socket.fail(ack, Code::MatchClosed) };
    let milestones: Vec<i64> = snapshot.milestones.iter().map(|milestone| milestone.rev).collect();
    let known = milestones.iter().copied().max().unwrap_or(0);
    let mut due = joined.room.opened(snapshot.last_seq, known);
    if socket.world().mistake == Some(Mistake::ForgetHeld) {
        due.messages.clear();
    }
    if !keep_others {
        session.leave_others(&id);
    }
    let cursor = session.cursor_joined(socket.pid.tag(), &id, &due);
    let Snapshot { last_seq, messages, has_more, .. } = snapshot;
    socket.ack(ack, Answered::Joined { last_seq, messages, has_more, milestones });
    socket.pipe.send(Down::ChatJoined { chat, cursor });
    delivery::give(socket, &mut session, &id, due);
}

async fn snapshot(socket: &Rc<Socket>, chat: usize, since_seq: Option<i64>) -> Result<Snapshot, Code> {
    let id = socket.id_of(chat);
    let asked = socket.gateway().ask(|world| Rc::clone(&world.store).get_match(id.clone(), since_seq, PAGE)).await;
    let snapshot = asked.map_err(|_| Code::Unavailable)?.ok_or(Code::MatchNotFound)?;
    let is_blind = socket.world().mistake == Some(Mistake::OpenDoors);
    if !is_blind && !snapshot.members.iter().any(|member| member == socket.user().id.as_str()) {
        return Err(Code::MatchNotFound);
    }
    if snapshot.closed { Err(Code::MatchClosed) } else { Ok(snapshot) }
}

pub(super) fn leave(socket: &Socket, ack: u64, chat: usize) {
    let id = socket.id_of(chat);
    let mut session = socket.session.borrow_mut();
    if session.leave(&id).is_none() {
        let code = if session.is_closed(&id) { Code::MatchClosed } else { Code::NotJoined };
        return socket.fail(ack, code);
    }
    let cursor = session.cursor(socket.pid.tag(), None);
    socket.ack(ack, Answered::Done);
    socket.pipe.send(Down::ChatLeft { chat, cursor });
}
