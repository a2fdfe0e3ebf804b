//! Connection state recovery: what a client brings back is held against what the services say. No gateway keeps a session.

use std::{slice, sync::Arc};

use proto::{
    Code, MatchId, UserId,
    chat::MatchHead,
    inbox::{InboxEvent, SocketReplaced, inbox_event},
};
use tracing::warn;

use super::{
    Context, Socket,
    cursor::{self, Position},
    delivery, healing,
    pid::Pid,
    session::RecoveredChat,
};
use crate::failure::Failure;

/// Who has missed more than this in a chat starts anew, and pages.
pub const MAX_MISSED: i64 = 1_000;

/// What a socket starts with.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The socket's pid.
    pub pid: Pid,
    /// The pid is the one that the client brought.
    pub is_resumed: bool,
    /// Chats that were open, also those that were closed meanwhile: each is in the cursor until its end was told.
    pub chats: Vec<RecoveredChat>,
    /// Those of them that were closed meanwhile.
    pub closed: Vec<MatchId>,
    /// Chats whose milestones the earlier socket was not all told of.
    pub untold: Vec<MatchId>,
}

/// What the client brought back, in the words of the protocol.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Brought<'a> {
    pub(crate) pid: Option<&'a str>,
    pub(crate) offset: Option<&'a str>,
}

/// Recovers what the client brought back, or starts anew. Fails while chat-service cannot say how far the chats have come.
pub(super) async fn recover(context: &Context, user: &UserId, brought: Brought<'_>) -> Result<Recovery, Failure> {
    let Some(pid) = brought.pid.and_then(|pid| Pid::of_user(pid, user)) else { return fresh(user) };
    let positions = cursor::read(brought.offset.unwrap_or_default(), pid.tag());
    let heads = if positions.is_empty() {
        Vec::new()
    } else {
        let ids = positions.iter().map(|position| position.chat.to_string()).collect();
        context.services.heads_of_user(ids, user).await?
    };
    resume(pid, user, positions, &heads).map_or_else(|| fresh(user), Ok)
}

fn fresh(user: &UserId) -> Result<Recovery, Failure> {
    let pid = Pid::new(user).ok_or(Code::Internal)?;
    Ok(Recovery { pid, is_resumed: false, chats: Vec::new(), closed: Vec::new(), untold: Vec::new() })
}

/// What is left of the chats that were open; `None` when too much was missed. Pure.
pub fn resume(pid: Pid, user: &UserId, positions: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
    let mut recovery = Recovery { pid, is_resumed: true, chats: Vec::new(), closed: Vec::new(), untold: Vec::new() };
    for position in positions {
        let is_head = |head: &&MatchHead| head.match_id == position.chat.as_str();
        let Some(head) = heads.iter().find(is_head).filter(|head| is_member(head, user)) else { continue };
        // A cursor above the head was not written by us.
        let seq = position.seq.min(head.last_seq);
        let milestones = position.milestones.min(i64::from(head.milestones));
        if head.closed {
            recovery.closed.push(position.chat.clone());
        } else if head.last_seq - seq > MAX_MISSED {
            return None;
        } else if milestones < i64::from(head.milestones) {
            recovery.untold.push(position.chat.clone());
        }
        let other = head.members.iter().find(|member| *member != user.as_str());
        let other = other.and_then(|other| UserId::new(other.as_str()).ok());
        recovery.chats.push(RecoveredChat {
            position: Position { seq, milestones, ..position },
            head: head.last_seq,
            other,
        });
    }
    Some(recovery)
}

fn is_member(head: &MatchHead, user: &UserId) -> bool {
    head.members.iter().any(|member| member == user.as_str())
}

/// After the CONNECT reply: what was closed is told, what was missed is fetched, an earlier socket is closed.
pub(super) fn replay(context: &Arc<Context>, socket: &Arc<Socket>) {
    let Some(resumed) = socket.session().resumed.take() else { return };
    for chat in &resumed.closed {
        delivery::close(socket, chat);
    }
    for chat in socket.session().open_chats_mut() {
        healing::heal_if_behind(context, socket, chat);
    }
    let has_missed_events = socket.presence.user().heard() != resumed.heard;
    let (context, socket) = (Arc::clone(context), Arc::clone(socket));
    context.lifecycle.clone().spawn(async move {
        replace_earlier(&context, &socket).await;
        if has_missed_events {
            healing::compare_all(&context, &socket).await;
        }
        for chat in &resumed.untold {
            healing::tell_milestones(&context, slice::from_ref(&socket), chat).await;
        }
    });
}

async fn replace_earlier(context: &Context, socket: &Socket) {
    let replaced = SocketReplaced {
        pid: socket.pid.as_str().to_owned(),
        connected_at_ms: socket.connected_at_ms,
        connection: socket.connection,
    };
    let event = InboxEvent { event: Some(inbox_event::Event::SocketReplaced(replaced)) };
    let bus = &context.services.bus;
    if let Err(error) = bus.publish(&bus.subjects().inbox(socket.user_id()), &event).await {
        // The earlier one, if it lives, ends by its heartbeat.
        warn!(%error, "an earlier socket was not told that it is replaced");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::session::{Resumed, Session};

    fn alice() -> UserId {
        UserId::new("alice").unwrap()
    }

    fn position(chat: &str, seq: i64) -> Position {
        Position { chat: MatchId::new(chat).unwrap(), seq, milestones: 0 }
    }

    fn head(chat: &str, last_seq: i64, closed: bool) -> MatchHead {
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        MatchHead { match_id: chat.to_owned(), last_seq, milestones: 1, closed, members }
    }

    fn resumed(positions: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
        resume(Pid::new(&alice()).unwrap(), &alice(), positions, heads)
    }

    #[test]
    fn a_chat_goes_on_where_the_earlier_socket_had_read_to() {
        let recovery = resumed(vec![position("m", 3)], &[head("m", 9, false)]).unwrap();
        let other = UserId::new("bob").ok();
        assert_eq!(recovery.chats, [RecoveredChat { position: position("m", 3), head: 9, other }]);
        assert!(recovery.is_resumed);
    }

    #[test]
    fn a_closed_chat_stays_in_the_cursor_until_its_end_was_told() {
        let heads = [head("a", 9, true), head("b", MAX_MISSED + 9, true), head("c", 5, false)];
        let positions = vec![position("a", 3), position("b", 5), position("c", 5)];
        let Recovery { pid, chats, closed, untold, .. } = resumed(positions, &heads).unwrap();
        let mut session = Session::default();
        session.restore(chats, Resumed { closed: closed.clone(), untold, heard: 0 });
        let open = |session: &Session| {
            let positions = cursor::read(&session.cursor(pid.tag(), None), pid.tag());
            let mut ids: Vec<String> = positions.iter().map(|position| position.chat.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(open(&session), ["a", "b", "c"]);
        for (chat, left) in closed.iter().zip([vec!["b", "c"], vec!["c"]]) {
            assert!(session.close(chat));
            assert_eq!(open(&session), left);
        }
    }

    #[test]
    fn another_users_chat_and_one_that_does_not_exist_recover_nothing() {
        let foreign = MatchHead { members: vec!["bob".to_owned(), "carol".to_owned()], ..head("m", 9, false) };
        for heads in [vec![foreign], vec![]] {
            let recovery = resumed(vec![position("m", 3)], &heads).unwrap();
            assert_eq!((recovery.chats.len(), recovery.closed.len()), (0, 0));
        }
    }

    #[test]
    fn who_missed_more_than_a_thousand_starts_anew() {
        assert!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED, false)]).is_some());
        assert_eq!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED + 1, false)]), None);
    }

    #[test]
    fn a_cursor_above_the_head_counts_as_the_head() {
        let recovery = resumed(vec![position("m", i64::MAX)], &[head("m", 9, false)]).unwrap();
        assert_eq!(recovery.chats[0].position.seq, 9);
    }
}
