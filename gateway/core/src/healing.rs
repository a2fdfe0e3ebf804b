//! Fetching what a socket missed: NATS delivers at most once, PostgreSQL has everything. Messages come first, then the
//! changes.

use std::collections::VecDeque;

use proto::{
    Code, MatchId,
    chat::{ListChangesResponse, ListMessagesResponse},
};

use crate::{
    changed::Changed,
    chats::JoinedChat,
    delivery,
    failure::Failure,
    gap::{Page, Sheet},
    given::DueEvents,
    output::{Ask, Output, Timer},
    pace::Fetched,
    posted::Posted,
    room::Missing,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// More is given when this much or less waits to be sent to the client, and then no more than this much again: whatever
/// a client missed, and in however many chats, fetching it does not fill the queue whose bound would close the
/// transport.
pub const DRAINED_BYTES: usize = 64 * 1024;
/// The same in packets.
pub const DRAINED_PACKETS: usize = 50;

/// Asks for the next page, as soon as there is room for it. Without anything to fetch the healing is over, of which
/// what leaves a new gap must know.
pub(crate) fn go_on<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let (id, is_gone) = (socket.id, socket.is_gone);
    let Some(joined) = socket.chats.chat(chat) else { return };
    if joined.room.missing().is_some() && !is_gone {
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
    let (socket, chat, limit) = (id, chat.clone(), step.settings.page);
    gap.known = joined.room.known();
    match joined.room.missing() {
        Some(Missing::Messages) => {
            gap.after = joined.room.seq();
            step.ask(Ask::Messages { socket, chat, after: gap.after, limit });
        }
        Some(Missing::Changes) => {
            gap.after = joined.room.rev();
            step.ask(Ask::Changes { socket, chat, after: gap.after, limit });
        }
        None => joined.gap = None,
    }
}

/// A page of messages was fetched, or not.
pub(crate) fn fetched_messages<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    fetched: Result<ListMessagesResponse, Failure>,
    step: &mut Step<'_, L>,
) {
    let fields = step.settings.fields;
    let page = fetched.map(|page| {
        let bytes = page.messages.iter().map(|message| message.body.len()).sum();
        // A chat-service that does not say how far the page is complete has given all up to its last message.
        let through = page.through_seq.or(page.messages.last().map(|last| last.seq));
        let posts = page.messages.into_iter().filter_map(|message| Posted::new(message, fields));
        (Page::Messages(Sheet::new(posts, through)), bytes)
    });
    fetched_page(socket, chat, page, step);
}

/// A page of changes was fetched, or not.
pub(crate) fn fetched_changes<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    fetched: Result<ListChangesResponse, Failure>,
    step: &mut Step<'_, L>,
) {
    let page = fetched.map(|page| {
        let changes = page.changes.into_iter().map(|change| Changed { chat: chat.clone(), change }.into());
        (Page::Changes(Sheet::new(changes, Some(page.through_rev))), 0)
    });
    fetched_page(socket, chat, page, step);
}

/// Gives a page that was fetched, with so many bytes of what people wrote, as soon as there is room.
fn fetched_page<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    fetched: Result<(Page, usize), Failure>,
    step: &mut Step<'_, L>,
) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    let is_pulling = joined.room.is_pulling();
    let Some(gap) = &mut joined.gap else { return };
    let (page, bytes) = match fetched {
        Ok(fetched) => fetched,
        // Who had the chat open was a member, and is none any more, unless something has come since the question.
        Err(failure) if failure.code == Code::MatchNotFound && gap.known == joined.room.known() => {
            return delivery::remove(socket, chat, step);
        }
        Err(_) => return pause(socket, chat, Fetched::Failure, step),
    };
    if is_pulling {
        // What a client that comes back is given counts as read. What we lost on the way does not.
        step.limits.has_read(step.user, bytes, step.at.now);
    }
    let is_empty = page.is_empty();
    gap.page = Some(page);
    if is_empty {
        end_page(socket, chat, step);
    } else {
        step.out.push(Output::AwaitRoom(socket.id, chat.clone()));
    }
}

fn give_piece<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let cursor_bytes = socket.cursor().len();
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some((due, is_given)) = take_piece(joined, cursor_bytes) else { return };
    delivery::give(socket, chat, due, step);
    if is_given {
        end_page(socket, chat, step);
    } else {
        step.out.push(Output::AwaitRoom(socket.id, chat.clone()));
    }
}

/// Takes what may be queued at once off the page. True if that is all of it.
fn take_piece(joined: &mut JoinedChat, cursor_bytes: usize) -> Option<(DueEvents, bool)> {
    let (room, page) = (&mut joined.room, joined.gap.as_mut()?.page.as_mut()?);
    let mut due = DueEvents::default();
    match page {
        Page::Messages(sheet) => piece(&mut sheet.waiting, |posted| posted.json().len() + cursor_bytes)
            .for_each(|posted| due.extend(room.fill(posted))),
        Page::Changes(sheet) => piece(&mut sheet.waiting, |changed| changed.bytes() + cursor_bytes)
            .for_each(|changed| due.extend(room.fill_change(changed))),
    }
    Some((due, page.is_given()))
}

/// The page is given: what it leaves out does not exist, and what was held behind that is due.
fn end_page<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    let Some(gap) = &mut joined.gap else { return };
    let (after, Some(page)) = (gap.after, gap.page.take()) else { return };
    let is_empty = page.is_empty();
    let (due, has_moved) = match page {
        Page::Messages(Sheet { through, .. }) => {
            let due = through.map(|through| joined.room.pass(through));
            (due, joined.room.seq() > after)
        }
        Page::Changes(Sheet { through, .. }) => {
            let due = through.map(|through| joined.room.pass_changes(through));
            (due, joined.room.rev() > after)
        }
    };
    let is_over = joined.room.missing().is_none();
    delivery::give(socket, chat, due.unwrap_or_default(), step);
    let is_progress = is_over || (has_moved && !is_empty);
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
fn piece<T>(waiting: &mut VecDeque<T>, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = T> {
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

    fn count(sizes: &[usize]) -> usize {
        piece(&mut sizes.iter().copied().collect(), |size| *size).count()
    }

    #[test]
    fn a_piece_leaves_room_in_the_queue() {
        assert_eq!(count(&[1_000; 100]), 65);
        assert_eq!(count(&[1_000; 10]), 10);
        assert_eq!(count(&[40_000, 40_000]), 1);
    }

    #[test]
    fn a_message_larger_than_a_piece_goes_alone() {
        assert_eq!(count(&[DRAINED_BYTES * 2, 1]), 1);
        assert_eq!(count(&[]), 0);
    }
}
