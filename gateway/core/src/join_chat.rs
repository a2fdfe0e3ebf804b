//! `join_chat`: a chat is opened, and the others are left unless they are kept.

use proto::{Code, MatchId, client::event, signaling::Call};
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    command::{Command, Join},
    delivery,
    failure::Failure,
    given::DueEvents,
    joined::Joined,
    mistake::{self, Mistake},
    others::Others,
    output::{Ask, Event, Opened, Output, Since, TurnId},
    presence::Shown,
    proofs,
    reply::Reply,
    restored,
    snapshot::Snapshot,
    socket_state::SocketState,
    step::{Limited, Limits, Step},
    turns::RETRY_AFTER,
    typing,
};

#[derive(Deserialize)]
#[serde(untagged)]
enum JoinArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
        since_seq: Option<i64>,
        since_rev: Option<i64>,
        #[serde(default)]
        keep_others: Option<bool>,
    },
}

/// Reads a `join_chat`; one that is refused is answered.
pub(crate) fn read<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) -> Option<(MatchId, Command<L::Ticket>)> {
    let allowed = |read| {
        let taken = step.limits.take(Limited::Join, step.user, step.at.now);
        taken.map(|()| read).map_err(Failure::rate_limited)
    };
    match join_argument(event).and_then(allowed) {
        Ok((chat, join)) => Some((chat, Command::Join(join, reply))),
        Err(failure) => {
            step.fail(socket.id, &reply, &failure);
            None
        }
    }
}

fn join_argument(event: &ClientEvent<'_>) -> Result<(MatchId, Join), Failure> {
    let (id, since_seq, since_rev, keep_others) = match arguments::argument(event)? {
        JoinArgument::Id(id) => (id, None, None, None),
        JoinArgument::Object { match_id, since_seq, since_rev, keep_others } => {
            (match_id, since_seq, since_rev, keep_others)
        }
    };
    if since_seq.is_some_and(|seq| seq < 0) || since_rev.is_some_and(|rev| rev < 0) {
        return Err(Failure::invalid());
    }
    Ok((arguments::match_id(id)?, Join { since_seq, since_rev, keep_others: keep_others.unwrap_or(false) }))
}

/// Asks for what the socket is to be told of the chat; from here on the chat's events are held. False if no more chats
/// may be open, which is answered.
pub(crate) fn begin<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    (turn, chat): (TurnId, &MatchId),
    (join, reply): (Join, &Reply),
    step: &mut Step<'_, L>,
) -> bool {
    if !socket.chats.begin_join(chat, join.keep_others) {
        step.fail(socket.id, reply, &Failure::rate_limited(RETRY_AFTER));
        return false;
    }
    let since = Since { seq: join.since_seq, rev: join.since_rev, limit: step.settings.join_page };
    step.ask(Ask::Open { turn, chat: chat.clone(), since });
    true
}

/// Opens the chat of which the socket was to be told.
pub(crate) fn end<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    (join, reply): (Join, &Reply),
    (opened, step): (Opened, &mut Step<'_, L>),
) {
    let (snapshot, call) = match opened.and_then(|(snapshot, call)| open(snapshot, call, chat)) {
        Ok(found) => found,
        Err(failure) => {
            fail(socket, chat, failure.code, step);
            return step.fail(socket.id, reply, &failure);
        }
    };
    if snapshot.epoch.is_some_and(|epoch| !restored::is_of_same_epoch(socket, epoch, step)) {
        return step.fail(socket.id, reply, &Failure::unavailable());
    }
    // The match may have been closed since, or the user removed.
    let code = if socket.chats.is_closed(chat) { Code::MatchClosed } else { Code::Unavailable };
    let Some(joined) = socket.chats.chat(chat) else { return step.fail(socket.id, reply, &code.into()) };
    joined.others = Others::of(&snapshot.of.members, step.user).apart_from(&snapshot.sharing.apart);
    joined.hides_typing = snapshot.sharing.hides_typing;
    joined.presence = Shown::of(&snapshot.sharing, snapshot.online);
    let watched = joined.others.only().cloned().map(|other| Output::Watch(other, joined.presence.online()));
    let mut due = joined.room.opened(snapshot.of.last_seq, snapshot.of.rev);
    if mistake::is_planted(Mistake::ForgetHeld) {
        due.messages.clear();
    }
    let silences = if join.keep_others { Vec::new() } else { leave_others(socket, chat, step) };
    let joined = Joined { snapshot: &snapshot, fields: step.settings.fields, call: call.as_ref() };
    let unproved = unproved(&snapshot, step);
    tell(socket, (chat, reply), (&joined, &due), (silences, step));
    if let Some(seq) = unproved {
        proofs::given(socket, chat, seq, step);
    }
    delivery::give(socket, chat, due, step);
    step.out.extend(watched);
}

/// The last message of others in the page, if nobody knows yet that a device of the user has it.
fn unproved<L: Limits>(snapshot: &Snapshot, step: &Step<'_, L>) -> Option<i64> {
    let known = snapshot.receipts.as_ref()?.me.as_ref()?.delivered_seq;
    let last = snapshot.messages.iter().rfind(|message| message.sender_id != step.user.as_str())?;
    (last.seq > known).then_some(last.seq)
}

/// Acks, and tells of what was left and then of what was joined, in the same write.
fn tell<L: Limits>(
    socket: &SocketState<L::Ticket>,
    (chat, reply): (&MatchId, &Reply),
    (joined, due): (&Joined<'_>, &DueEvents),
    (silences, step): (Vec<Event>, &mut Step<'_, L>),
) {
    let cursor = socket.chats.cursor_joined(socket.line(), chat, due);
    let ack = joined.ack();
    step.limits.has_read(step.user, ack.len(), step.at.now);
    step.ok(socket.id, reply, ack);
    for silence in silences {
        step.emit(socket.id, silence);
    }
    step.emit(socket.id, Event::recoverable(event::CHAT_JOINED, joined.event(), cursor));
}

/// What is shown of the match, unless it is closed. A chat opens without its call when signaling is away: the call's
/// own events follow.
fn open(snapshot: Snapshot, call: Option<Call>, chat: &MatchId) -> Result<(Snapshot, Option<Call>), Failure> {
    if snapshot.of.closed_at_ms.is_some() {
        return Err(Code::MatchClosed.into());
    }
    Ok((snapshot, call.filter(|call| call.match_id == chat.as_str())))
}

/// A join has failed: a chat that had been open before goes on, unless the user is no member any more; another is
/// dropped.
pub(crate) fn fail<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, why: Code, step: &mut Step<'_, L>) {
    match socket.chats.chat(chat).map(|joined| joined.room.join_failed()) {
        Some(Some(due)) => {
            delivery::give(socket, chat, due, step);
            if why == Code::MatchNotFound {
                delivery::remove(socket, chat, step);
            }
        }
        Some(None) => drop(socket.chats.leave(chat)),
        None => {}
    }
}

/// Leaves the chats that are not to be kept. Returns what the socket is told of them.
fn leave_others<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) -> Vec<Event> {
    let mut left = socket.chats.leave_others(chat);
    for chat in &mut left {
        typing::stop(chat, step);
    }
    left.iter().flat_map(delivery::silence).collect()
}
