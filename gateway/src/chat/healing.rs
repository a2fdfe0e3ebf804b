//! Fetching what a socket missed: NATS delivers at most once, PostgreSQL has everything.

use std::{collections::VecDeque, slice, sync::Arc, time::Duration};

use proto::{
    MatchId,
    chat::{MatchHead, Message, list_messages_request::Position},
};
use service_kit::mutation::{self, Mutation};

use super::{
    Context, Socket, delivery,
    feed::{Announced, Posted},
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
/// Pauses between fetches that fail double from the first up to this: what was missed comes within a second of PostgreSQL's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A fetch that keeps failing is left to the next comparison of heads.
const MAX_TRIES: u32 = 12;

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
    let mut failures = 0;
    if !is_pulling(&socket, &chat) {
        tokio::time::sleep(HOLD).await;
    }
    while let Some(cursor) = cursor_if_behind(&socket, &chat) {
        drained(&socket).await;
        match context.services.list_messages(&chat, Some(Position::After(cursor)), PAGE).await {
            Ok(page) if !page.messages.is_empty() => {
                failures = 0;
                backfill(&context, &socket, &chat, page.messages).await;
            }
            Err(_) if failures < MAX_TRIES => {
                failures += 1;
                let pause = (HOLD * 2_u32.pow(failures)).min(LONGEST_PAUSE);
                // Those who failed together do not come back together.
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            }
            // PostgreSQL has no more, or cannot be asked now.
            _ => return stop(&socket, &chat),
        }
    }
}

fn stop(socket: &Socket, chat: &MatchId) {
    if let Some(chat) = socket.session().chat(chat) {
        chat.healing = false;
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

async fn backfill(context: &Arc<Context>, socket: &Arc<Socket>, chat: &MatchId, messages: Vec<Message>) {
    metrics::gap_healed(messages.len());
    let fields = context.message_fields;
    let posts = messages.into_iter().filter_map(|message| Posted::new(message, fields));
    let mut posts: VecDeque<_> = posts.collect();
    while !posts.is_empty() && !socket.emitter.is_closed() {
        drained(socket).await;
        fill(context, socket, chat, &mut posts);
    }
}

fn fill(context: &Arc<Context>, socket: &Arc<Socket>, id: &MatchId, posts: &mut VecDeque<Arc<Posted>>) {
    let mut session = socket.session();
    // Another chat that is healed as well may have used the room in the queue.
    if !is_drained(&socket.emitter) {
        return;
    }
    let cursor_bytes = session.cursor(socket.pid.tag(), None).len();
    let Some(chat) = session.chat(id) else { return posts.clear() };
    let piece = take_piece(posts, |posted| posted.json().len() + cursor_bytes);
    let messages = piece.flat_map(|posted| chat.room.fill(posted)).collect();
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
