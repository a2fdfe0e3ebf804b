//! Fetching what a socket missed: NATS delivers at most once, PostgreSQL has everything.

use std::{
    collections::VecDeque,
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    MatchId,
    chat::{ListMessagesResponse, MatchHead, list_messages_request::Position},
};
use service_kit::mutation::{self, Mutation};

use super::{
    Context, Socket, delivery,
    feed::{Announced, Posted},
    pace::{Fetched, Pace},
    room::Due,
    session::JoinedChat,
};
use crate::{metrics, socketio::Emitter};

/// A message that overtook another waits this long for it before the gap is fetched.
const HOLD: Duration = Duration::from_millis(200);
/// Messages fetched at once.
const PAGE: i32 = 100;
/// More is given when this much or less waits to be sent to the client, and then no more than this much again: whatever a
/// client missed, and in however many chats, fetching it does not fill the queue whose bound would close the transport.
const DRAINED_BYTES: usize = 64 * 1024;
const DRAINED_PACKETS: usize = 50;
/// How often a queue is looked at. A client that does not read at all is cut off by the write deadline.
const DRAIN_CHECK: Duration = Duration::from_millis(20);

/// Fetches what the socket misses of a chat, unless that is under way.
pub(super) fn heal_if_behind(context: &Arc<Context>, socket: &Arc<Socket>, chat: &mut JoinedChat) {
    let is_broken = mutation::is_broken(Mutation::NoGapHealing) && !chat.room.is_pulling();
    if chat.room.is_behind() && !chat.healing && !is_broken {
        chat.healing = true;
        let heal = heal(Arc::clone(context), Arc::clone(socket), chat.id.clone());
        context.lifecycle.spawn(heal);
    }
}

async fn heal(context: Arc<Context>, socket: Arc<Socket>, chat: MatchId) {
    let mut pace = Pace::default();
    if !is_pulling(&socket, &chat) {
        tokio::time::sleep(HOLD).await;
    }
    while let Some(cursor) = cursor_if_behind(&socket, &chat) {
        drained(&socket).await;
        let fetched = fetch(&context, &socket, &chat, cursor).await;
        let Some(pause) = pace.after(fetched) else { return stop(&socket, &chat) };
        if !pause.is_zero() {
            // Those who failed together do not come back together.
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }
}

/// Fetches the page after a cursor, and gives it to the socket.
async fn fetch(context: &Arc<Context>, socket: &Arc<Socket>, id: &MatchId, cursor: i64) -> Fetched {
    let Ok(page) = context.services.list_messages(id, Some(Position::After(cursor)), PAGE).await else {
        return Fetched::Failure;
    };
    let is_empty = page.messages.is_empty();
    if is_pulling(socket, id) {
        // What a client that comes back is given counts as read. What we lost on the way does not.
        let bytes = page.messages.iter().map(|message| message.body.len()).sum();
        context.limits.has_read(socket.user_id().as_str(), bytes, Instant::now());
    }
    backfill(context, socket, id, page).await;
    let mut session = socket.session();
    let is_over = session.chat(id).is_none_or(|chat| !chat.room.is_behind());
    let has_moved = session.chat(id).is_some_and(|chat| chat.room.cursor() > cursor);
    if is_over || (has_moved && !is_empty) { Fetched::Progress } else { Fetched::Nothing }
}

fn stop(socket: &Socket, chat: &MatchId) {
    if let Some(chat) = socket.session().chat(chat) {
        chat.healing = false;
        chat.room.stop_pulling();
    }
}

fn is_pulling(socket: &Socket, chat: &MatchId) -> bool {
    socket.session().chat(chat).is_some_and(|chat| chat.room.is_pulling())
}

/// Waits until the client has read most of what it was sent, or is gone.
async fn drained(socket: &Socket) {
    while !socket.emitter.is_closed() && !is_drained(&socket.emitter) {
        tokio::time::sleep(DRAIN_CHECK).await;
    }
}

fn is_drained(emitter: &Emitter) -> bool {
    emitter.queued_bytes() <= DRAINED_BYTES && emitter.queued_packets() <= DRAINED_PACKETS
}

/// Where to go on. Without anything to fetch the healing is over, of which a message that leaves a new gap must know.
fn cursor_if_behind(socket: &Socket, chat: &MatchId) -> Option<i64> {
    let mut session = socket.session();
    let chat = session.chat(chat)?;
    chat.healing = chat.room.is_behind() && !socket.emitter.is_closed();
    chat.healing.then(|| chat.room.cursor())
}

async fn backfill(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId, page: ListMessagesResponse) {
    metrics::gap_healed(page.messages.len());
    // A chat-service that does not say how far the page is complete has given all up to its last message.
    let through = page.through_seq.or(page.messages.last().map(|last| last.seq));
    let fields = context.message_fields;
    let posts = page.messages.into_iter().filter_map(|message| Posted::new(message, fields));
    let mut posts: VecDeque<_> = posts.collect();
    while !posts.is_empty() && !socket.emitter.is_closed() {
        drained(socket).await;
        fill(context, socket, chat, &mut posts);
    }
    if let Some(through) = through.filter(|_| posts.is_empty()) {
        pass(context, socket, chat, through);
    }
}

fn fill(context: &Arc<Context>, socket: &Arc<Socket>, id: &MatchId, posts: &mut VecDeque<Arc<Posted>>) {
    let mut session = socket.session();
    // Another chat that is healed as well may have used the room in the queue.
    if !is_drained(&socket.emitter) {
        return;
    }
    let cursor_bytes = session.cursor(socket.tag(), None).len();
    let Some(chat) = session.chat(id) else { return posts.clear() };
    let piece = take_piece(posts, |posted| posted.json().len() + cursor_bytes);
    let messages = piece.flat_map(|posted| chat.room.fill(posted)).collect();
    delivery::give(context, socket, &mut session, id, Due { messages, milestones: Vec::new() });
}

/// The page is given: what it leaves out does not exist, and what was held behind that is due.
fn pass(context: &Arc<Context>, socket: &Arc<Socket>, id: &MatchId, through: i64) {
    let mut session = socket.session();
    let Some(chat) = session.chat(id) else { return };
    let messages = chat.room.pass(through);
    delivery::give(context, socket, &mut session, id, Due { messages, milestones: Vec::new() });
}

/// What may be queued at once: at least one, so that it goes on whatever its size.
fn take_piece<T>(waiting: &mut VecDeque<T>, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = T> {
    let mut total = 0;
    let fitting = waiting.iter().take_while(|next| {
        total += bytes(next);
        total <= DRAINED_BYTES
    });
    let count = fitting.count().max(1).min(waiting.len());
    waiting.drain(..count)
}

/// Compares a chat's true head with what the sockets have that have it open, and fetches the difference: milestones once for all.
pub(super) async fn compare(context: &Arc<Context>, sockets: &[Arc<Socket>], head: &MatchHead, chat: &MatchId) {
    let is_untold = |socket: &&Arc<Socket>| milestones_told(context, socket, head, chat) < head.milestones.into();
    let untold: Vec<_> = sockets.iter().filter(is_untold).cloned().collect();
    tell_milestones(context, &untold, chat).await;
}

/// Has a socket learn the head and fetch messages; gives the milestones it was told of, of a chat that is not open as many as may be.
fn milestones_told(context: &Arc<Context>, socket: &Arc<Socket>, head: &MatchHead, chat: &MatchId) -> i64 {
    if head.closed {
        delivery::close(socket, chat);
        return i64::MAX;
    }
    let mut session = socket.session();
    let Some(joined) = session.open_chat(chat) else { return i64::MAX };
    joined.room.learn_head(head.last_seq);
    heal_if_behind(context, socket, joined);
    joined.room.milestones()
}

/// Compares the heads of all chats that the socket has open.
pub(super) async fn compare_all(context: &Arc<Context>, socket: &Arc<Socket>) {
    let open: Vec<String> = socket.session().open_chats().map(|chat| chat.id.to_string()).collect();
    if open.is_empty() {
        return;
    }
    // What cannot be read now is compared in the next round.
    let Ok(heads) = context.services.heads(open).await else { return };
    for head in heads {
        let Ok(chat) = MatchId::new(head.match_id.as_str()) else { continue };
        compare(context, slice::from_ref(socket), &head, &chat).await;
    }
}

/// Tells sockets that have a chat open of the milestones that they were not told of.
pub(super) async fn tell_milestones(context: &Context, sockets: &[Arc<Socket>], chat: &MatchId) {
    let Some(any) = sockets.first() else { return };
    let Ok(found) = context.services.get_match(chat, any.user_id(), None, 0).await else { return };
    for milestone in found.of.milestones {
        let announced = Arc::new(Announced { chat: chat.clone(), milestone });
        for socket in sockets {
            delivery::announce(socket, &announced, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(sizes: &[usize]) -> usize {
        take_piece(&mut sizes.iter().copied().collect(), |size| *size).count()
    }

    #[test]
    fn a_piece_leaves_room_in_the_queue() {
        assert_eq!(piece(&[1_000; 100]), 65);
        assert_eq!(piece(&[1_000; 10]), 10);
        assert_eq!(piece(&[40_000, 40_000]), 1);
    }

    #[test]
    fn a_message_larger_than_a_piece_goes_alone() {
        assert_eq!(piece(&[DRAINED_BYTES * 2, 1]), 1);
        assert_eq!(piece(&[]), 0);
    }
}
