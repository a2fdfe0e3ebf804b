//! `watch_presence`: the chats in which a socket is to hear whether the other member is online.

use std::{borrow::Cow, collections::BTreeMap};

use proto::MatchId;
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    output::{Ask, Found, Output, SharingFor},
    presence::{PresenceView, Shown},
    reply::Reply,
    sharing,
    socket_state::SocketState,
    step::{Limits, Step},
    turns::RETRY_AFTER,
    views,
    watches::{MAX_WATCHED, Watch},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WatchPresence<'a> {
    #[serde(borrow)]
    match_ids: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Ack<'a> {
    ok: bool,
    presence: BTreeMap<&'a str, Option<PresenceView>>,
}

/// Takes a `watch_presence`; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) {
    let chats = match read(event) {
        Ok(chats) => chats,
        Err(failure) => return step.fail(socket.id, &reply, &failure),
    };
    let Some(number) = socket.watches.begin() else {
        return step.fail(socket.id, &reply, &Failure::rate_limited(RETRY_AFTER));
    };
    let asked = chats.iter().map(ToString::to_string).collect();
    step.ask(Ask::Sharing(socket.id, SharingFor::Watch { reply, chats, number }, asked));
}

/// Up to 50 chats, each once.
fn read(event: &ClientEvent<'_>) -> Result<Vec<MatchId>, Failure> {
    let WatchPresence { match_ids } = arguments::argument(event)?;
    if match_ids.len() > MAX_WATCHED {
        return Err(Failure::invalid());
    }
    let mut chats = match_ids.into_iter().map(arguments::match_id).collect::<Result<Vec<_>, _>>()?;
    chats.sort_unstable();
    chats.dedup();
    Ok(chats)
}

/// Answers, and watches from now on what the user may see of it. All else is shown alike: a match that does not exist
/// or is somebody else's, a closed one, who does not share, a larger group.
pub(crate) fn end<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    (reply, chats, number): (&Reply, &[MatchId], u32),
    found: Result<Vec<Found>, Failure>,
    step: &mut Step<'_, L>,
) {
    let found = match found {
        Ok(found) => found,
        Err(failure) => {
            socket.watches.end(number, None);
            return step.fail(socket.id, reply, &failure);
        }
    };
    let watches: Vec<Watch> = chats.iter().filter_map(|chat| watch(chat, &found)).collect();
    let shown = |chat: &MatchId| watches.iter().find(|watch| watch.chat == *chat).and_then(|watch| watch.shown.view());
    let presence = chats.iter().map(|chat| (chat.as_str(), shown(chat))).collect();
    step.ok(socket.id, reply, views::to_json(&Ack { ok: true, presence }));
    if socket.watches.end(number, Some(watches)) {
        let set = socket.watches.all().iter();
        step.out.extend(set.map(|watch| Output::Watch(watch.user.clone(), watch.shown.online())));
    }
}

/// The chat as it is watched, if the user may see its other member.
fn watch(chat: &MatchId, found: &[Found]) -> Option<Watch> {
    let found = found.iter().find(|found| found.sharing.match_id == chat.as_str())?;
    let user = sharing::other(&found.sharing)?;
    Some(Watch { chat: chat.clone(), user, shown: Shown::of(&found.sharing, found.online) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn up_to_fifty_matches_are_taken_each_once() {
        let read = |json: &str| read(&event("watch_presence", [Some(json), None]));
        let ids = |ids: &[&str]| Ok(ids.iter().map(|id| MatchId::new(*id).unwrap()).collect());
        assert_eq!(read(r#"{"matchIds":["b","a","b"]}"#), ids(&["a", "b"]));
        assert_eq!(read(r#"{"matchIds":[]}"#), ids(&[]));
        let many = |count: usize| format!(r#"{{"matchIds":[{}]}}"#, vec!["\"m\""; count].join(","));
        assert_eq!(read(&many(MAX_WATCHED)), ids(&["m"]));
        for json in [
            &many(MAX_WATCHED + 1),
            "{}",
            "null",
            r#""m""#,
            r#"["m"]"#,
            r#"{"matchIds":"m"}"#,
            r#"{"matchIds":[1]}"#,
            r#"{"matchIds":[""]}"#,
            r#"{"matchIds":["a b"]}"#,
            r#"{"matchIds":null}"#,
        ] {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}
