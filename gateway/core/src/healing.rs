//! Fetching what a socket missed: NATS delivers at most once, PostgreSQL has everything.

use std::collections::VecDeque;

use proto::{MatchId, chat::ListMessagesResponse};

use crate::{
    delivery,
    failure::Failure,
    gap::Page,
    output::{Ask, Output, Timer},
    pace::Fetched,
    posted::Posted,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// More is given when this much or less waits to be sent to the client, and then no more than this much again: whatever
/// a client missed, and in however many chats, fetching it does not fill the queue whose bound would close the
/// transport.
pub const DRAINED_BYTES: usize = 64 * 1024;
/// The same in packets.
pub const DRAINED_PACKETS: usize = 50;

/// Asks for the next page, as soon as there is room for it. Without anything to fetch the healing is over, of which a
/// message that leaves a new gap must know.
pub(crate) fn go_on<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let (id, is_gone) = (socket.id, socket.is_gone);
    let Some(joined) = socket.chats.chat(chat) else { return };
    if joined.room.is_behind() && !is_gone {
        step.out.push(Output::AwaitRoom(id, chat.clone()));
    } else {
        joined.gap = None;
    }
}

/// There is room: gives a piece of the page that was fetched, or asks for the next one.
pub(crate) fn has_room<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let id = socket.id;
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some(gap) = &mut joined.gap else { return };
    if gap.page.is_some() {
        return give_piece(socket, chat, step);
    }
    if !joined.room.is_behind() {
        joined.gap = None;
        return;
    }
    gap.after = joined.room.cursor();
    step.ask(Ask::Page { socket: id, chat: chat.clone(), after: gap.after, limit: step.settings.page });
}

/// A page was fetched, or not.
pub(crate) fn fetched<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    fetched: Result<ListMessagesResponse, Failure>,
    step: &mut Step<'_, L>,
) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    let is_pulling = joined.room.is_pulling();
    let Some(gap) = &mut joined.gap else { return };
    let Ok(page) = fetched else { return pause(socket, chat, Fetched::Failure, step) };
    if is_pulling {
        // What a client that comes back is given counts as read. What we lost on the way does not.
        let bytes = page.messages.iter().map(|message| message.body.len()).sum();
        step.limits.has_read(step.user, bytes, step.at.now);
    }
    // A chat-service that does not say how far the page is complete has given all up to its last message.
    let through = page.through_seq.or(page.messages.last().map(|last| last.seq));
    let is_empty = page.messages.is_empty();
    let posts = page.messages.into_iter().filter_map(|message| Posted::new(message, step.settings.fields));
    gap.page = Some(Page { posts: posts.collect(), through, is_empty });
    if is_empty {
        end_page(socket, chat, step);
    } else {
        step.out.push(Output::AwaitRoom(socket.id, chat.clone()));
    }
}

fn give_piece<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let cursor_bytes = socket.cursor().len();
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some(page) = joined.gap.as_mut().and_then(|gap| gap.page.as_mut()) else { return };
    let room = &mut joined.room;
    let piece = take_piece(&mut page.posts, |posted| posted.json().len() + cursor_bytes);
    let messages = piece.flat_map(|posted| room.fill(posted)).collect();
    let is_given = page.posts.is_empty();
    delivery::give_messages(socket, chat, messages, step);
    if is_given {
        end_page(socket, chat, step);
    } else {
        step.out.push(Output::AwaitRoom(socket.id, chat.clone()));
    }
}

/// The page is given: what it leaves out does not exist, and what was held behind that is due.
fn end_page<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some(gap) = &mut joined.gap else { return };
    let (after, Some(page)) = (gap.after, gap.page.take()) else { return };
    let messages = page.through.map(|through| joined.room.pass(through)).unwrap_or_default();
    let is_over = !joined.room.is_behind();
    let has_moved = joined.room.cursor() > after;
    delivery::give_messages(socket, chat, messages, step);
    let is_progress = is_over || (has_moved && !page.is_empty);
    pause(socket, chat, if is_progress { Fetched::Progress } else { Fetched::Nothing }, step);
}

/// Goes on after the pause that is due, or leaves the rest to the next comparison of heads.
fn pause<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, fetched: Fetched, step: &mut Step<'_, L>) {
    let id = socket.id;
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some(gap) = &mut joined.gap else { return };
    match gap.pace.after(fetched) {
        Some(pause) if pause.is_zero() => go_on(socket, chat, step),
        Some(pause) => {
            // Those who failed together do not come back together.
            let pause = pause.mul_f64(0.5 + step.at.part() / 2.0);
            step.out.push(Output::After(pause, Timer::Heal(id, chat.clone())));
        }
        None => {
            joined.gap = None;
            joined.room.stop_pulling();
        }
    }
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
