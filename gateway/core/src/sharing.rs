//! What a socket's user shows and sees in the chats that it has open or watches, looked up anew: after a recovery, as
//! nobody knows what the earlier socket was told, and whenever it may have changed.

use std::time::Duration;

use proto::{MatchId, UserId, chat::Sharing, inbox::SharingChanged};

use crate::{
    chats::JoinedChat,
    delivery,
    failure::Failure,
    output::{Ask, Found, Output, SharingFor, SocketId, Timer},
    presence::Shown,
    presence_changed,
    socket_state::SocketState,
    step::{Limits, Step},
    typing,
    watches::Watches,
};

/// The first pause before it is asked again what had no answer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Questions without an answer after which it is left to the next change.
const MAX_TRIES: u32 = 6;

/// `SharingChanged`: what the user shares has changed, or with whom.
pub(crate) fn hear<L: Limits>(
    sockets: &[SocketState<L::Ticket>],
    SharingChanged {}: SharingChanged,
    step: &mut Step<'_, L>,
) {
    for socket in sockets {
        ask(socket, 0, step);
    }
}

/// Asks for all that a socket has open or watches, after so many questions without an answer.
pub(crate) fn ask<L: Limits>(socket: &SocketState<L::Ticket>, tries: u32, step: &mut Step<'_, L>) {
    let open = socket.chats.open_chats().map(|chat| &chat.id);
    let mut chats: Vec<String> = open.map(ToString::to_string).collect();
    let watched = socket.watches.all().iter().map(|watch| watch.chat.to_string());
    chats.extend(watched);
    chats.sort_unstable();
    chats.dedup();
    if !chats.is_empty() {
        step.ask(Ask::Sharing(socket.id, SharingFor::Known { tries }, chats));
    }
}

/// Takes what was found, and tells the socket what is new to it.
pub(crate) fn found<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    tries: u32,
    found: Result<Vec<Found>, Failure>,
    step: &mut Step<'_, L>,
) {
    let Ok(found) = found else {
        if tries < MAX_TRIES {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries));
            step.out.push(Output::After(pause, Timer::Sharing(socket.id, tries + 1)));
        }
        return;
    };
    let of = |chat: &MatchId| found.iter().find(|found| found.sharing.match_id == chat.as_str());
    let id = socket.id;
    for chat in socket.chats.open_chats_mut() {
        if let Some(found) = of(&chat.id) {
            apply(id, chat, found, step);
        }
    }
    let open: Vec<&MatchId> = socket.chats.open_chats().map(|chat| &chat.id).collect();
    rejudge(&mut socket.watches, (id, &open), of, step);
}

/// What is open is told by its chat. A match that is not the user's any more is shown as one that is hidden.
fn rejudge<'a, L: Limits>(
    watches: &mut Watches,
    (socket, open): (SocketId, &[&MatchId]),
    of: impl Fn(&MatchId) -> Option<&'a Found>,
    step: &mut Step<'_, L>,
) {
    let told = watches.change(|watch| {
        let anew = of(&watch.chat).map_or(Shown::Hidden, |found| Shown::of(&found.sharing, found.online));
        watch.shown.judged(anew).filter(|_| !open.contains(&&watch.chat))
    });
    presence_changed::tell(socket, told, step);
    let shown = watches.all().iter().filter(|watch| watch.shown.is_shown());
    step.out.extend(shown.map(|watch| Output::Watch(watch.user.clone(), watch.shown.online())));
}

fn apply<L: Limits>(socket: SocketId, chat: &mut JoinedChat, found: &Found, step: &mut Step<'_, L>) {
    let Sharing { hides_typing, apart, .. } = &found.sharing;
    let is_news = (*hides_typing && !chat.hides_typing) || chat.others.would_change(apart);
    if is_news {
        // Before it is known no more whom it was told.
        typing::stop(chat, step);
        delivery::silence(chat).for_each(|silence| step.emit(socket, silence));
        chat.shown.clear();
    }
    chat.hides_typing = *hides_typing;
    chat.others.set_apart(apart);
    let told = chat.presence.judged(Shown::of(&found.sharing, found.online));
    let Some(other) = chat.others.only().cloned() else { return };
    presence_changed::tell(socket, told.map(|told| (chat.id.clone(), other.clone(), told)), step);
    step.out.push(Output::Watch(other, chat.presence.online()));
}

/// The other member, whom the user may see.
pub(crate) fn other(sharing: &Sharing) -> Option<UserId> {
    sharing.presence.as_ref().and_then(|presence| UserId::new(presence.user_id.as_str()).ok())
}
