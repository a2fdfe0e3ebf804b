//! `presence_changed`: somebody whom sockets watch has come online, or is online no more.

use proto::{MatchId, UserId, client::event};
use serde::Serialize;

use crate::{
    output::{Event, SocketId},
    presence::PresenceView,
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    match_id: &'a str,
    user_id: &'a str,
    #[serde(flatten)]
    presence: PresenceView,
}

/// What a user's sockets have to do with somebody else's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Nothing.
    None,
    /// The user may not see it, but may some time.
    Hidden,
    /// One is shown it.
    Shown,
}

/// What the sockets have to do with the presence of a user.
pub(crate) fn interest<T>(sockets: &[SocketState<T>], of: &UserId) -> Interest {
    let open = sockets.iter().flat_map(|socket| socket.chats.open_chats());
    let open = open.filter(|chat| chat.others.only() == Some(of)).map(|chat| chat.presence);
    let watched = sockets.iter().flat_map(|socket| socket.watches.all());
    let watched = watched.filter(|watch| watch.user == *of).map(|watch| watch.shown);
    let interest = |shown: crate::presence::Shown| if shown.is_shown() { Interest::Shown } else { Interest::Hidden };
    open.chain(watched).map(interest).max().unwrap_or(Interest::None)
}

/// A watched user has come online or is so no more.
pub(crate) fn hear<L: Limits>(
    sockets: &mut [SocketState<L::Ticket>],
    (of, is_online): (&UserId, bool),
    step: &mut Step<'_, L>,
) {
    for socket in sockets {
        let id = socket.id;
        let mut open = Vec::new();
        for chat in socket.chats.open_chats_mut().filter(|chat| chat.others.only() == Some(of)) {
            let told = chat.presence.moved(is_online);
            tell(id, told.map(|told| (chat.id.clone(), of.clone(), told)), step);
            open.push(chat.id.clone());
        }
        let told = socket.watches.change(|watch| {
            let told = (watch.user == *of).then(|| watch.shown.moved(is_online)).flatten();
            // It was told by its chat.
            told.filter(|_| !open.contains(&watch.chat))
        });
        tell(id, told, step);
    }
}

/// Tells a socket.
pub(crate) fn tell<L: Limits>(
    socket: SocketId,
    changed: impl IntoIterator<Item = (MatchId, UserId, PresenceView)>,
    step: &mut Step<'_, L>,
) {
    for (chat, user, presence) in changed {
        let view = View { match_id: chat.as_str(), user_id: user.as_str(), presence };
        step.emit(socket, Event::new(event::PRESENCE_CHANGED, views::to_json(&view)));
    }
}
