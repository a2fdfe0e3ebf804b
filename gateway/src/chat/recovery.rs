//! Connection state recovery: what a client brings back is held against what the services say. No gateway keeps a session.

use std::{slice, sync::Arc};

use aws_lc_rs::rand;
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
    pid::{Pid, RANDOM_BYTES},
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
    /// The pid that the client brought, if it is this user's: an earlier socket of it is replaced by this one. The
    /// socket is recovered if it is its own pid.
    pub replaces: Option<Pid>,
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
    let Some(pid) = brought.pid.and_then(|pid| Pid::of_user(pid, user)) else { return fresh(user, None) };
    // Without a cursor nobody knows what the client had open: a join that was lost with its connection would count as
    // done.
    let Some(positions) = brought.offset.and_then(|offset| cursor::read(offset, pid.tag())) else {
        return fresh(user, Some(pid));
    };
    let heads = if positions.is_empty() {
        Vec::new()
    } else {
        let ids = positions.iter().map(|position| position.chat.to_string()).collect();
        context.services.heads_of_user(ids, user).await?
    };
    resume(&pid, user, positions, &heads).map_or_else(|| fresh(user, Some(pid)), Ok)
}

fn fresh(user: &UserId, replaces: Option<Pid>) -> Result<Recovery, Failure> {
    let mut random = [0; RANDOM_BYTES];
    rand::fill(&mut random).map_err(|_| Code::Internal)?;
    let pid = Pid::from_random(random, user);
    Ok(Recovery { pid, replaces, chats: Vec::new(), closed: Vec::new(), untold: Vec::new() })
}

/// What is left of the chats that were open. `None` when too much was missed, or when the cursor cannot be one of ours:
/// it names a chat that the user does not have, or one that has not come so far. Pure.
pub fn resume(pid: &Pid, user: &UserId, positions: Vec<Position>, heads: &[MatchHead]) -> Option<Recovery> {
    let mut recovery = Recovery {
        pid: pid.clone(),
        replaces: Some(pid.clone()),
        chats: Vec::new(),
        closed: Vec::new(),
        untold: Vec::new(),
    };
    for position in positions {
        let head = heads.iter().find(|head| head.match_id == position.chat.as_str())?;
        let milestones = i64::from(head.milestones);
        if !is_member(head, user) || position.seq > head.last_seq || position.milestones > milestones {
            return None;
        }
        if head.closed {
            recovery.closed.push(position.chat.clone());
        } else if head.last_seq - position.seq > MAX_MISSED {
            return None;
        } else if position.milestones < milestones {
            recovery.untold.push(position.chat.clone());
        }
        let other = head.members.iter().find(|member| *member != user.as_str());
        let other = other.and_then(|other| UserId::new(other.as_str()).ok());
        recovery.chats.push(RecoveredChat { position, head: head.last_seq, other });
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
        replace_earlier(&context, &socket, &resumed.replaces).await;
        if has_missed_events {
            healing::compare_all(&context, &socket).await;
        }
        for chat in &resumed.untold {
            healing::tell_milestones(&context, slice::from_ref(&socket), chat).await;
        }
    });
}

/// Closes an earlier socket with this pid, wherever it lives.
pub(super) async fn replace_earlier(context: &Context, socket: &Socket, pid: &Pid) {
    let replaced = SocketReplaced {
        pid: pid.as_str().to_owned(),
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
        resume(&Pid::from_random([7; RANDOM_BYTES], &alice()), &alice(), positions, heads)
    }

    #[test]
    fn a_chat_goes_on_where_the_earlier_socket_had_read_to() {
        let recovery = resumed(vec![position("m", 3)], &[head("m", 9, false)]).unwrap();
        let other = UserId::new("bob").ok();
        assert_eq!(recovery.chats, [RecoveredChat { position: position("m", 3), head: 9, other }]);
        assert_eq!(recovery.replaces, Some(recovery.pid));
    }

    #[test]
    fn a_closed_chat_stays_in_the_cursor_until_its_end_was_told() {
        let heads = [head("a", 9, true), head("b", MAX_MISSED + 9, true), head("c", 5, false)];
        let positions = vec![position("a", 3), position("b", 5), position("c", 5)];
        let Recovery { pid, chats, closed, untold, .. } = resumed(positions, &heads).unwrap();
        let mut session = Session::default();
        session.restore(chats, Resumed { replaces: pid.clone(), closed: closed.clone(), untold, heard: 0 });
        let open = |session: &Session| {
            let positions = cursor::read(&session.cursor(pid.tag(), None), pid.tag()).unwrap();
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
    fn a_cursor_with_another_users_chat_or_with_one_that_does_not_exist_recovers_nothing() {
        let foreign = MatchHead { members: vec!["bob".to_owned(), "carol".to_owned()], ..head("m", 9, false) };
        for mut heads in [vec![foreign], vec![]] {
            heads.push(head("own", 9, false));
            for positions in [vec![position("m", 3)], vec![position("own", 3), position("m", 3)]] {
                assert_eq!(resumed(positions, &heads), None);
            }
        }
    }

    #[test]
    fn who_missed_more_than_a_thousand_starts_anew() {
        assert!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED, false)]).is_some());
        assert_eq!(resumed(vec![position("m", 0)], &[head("m", MAX_MISSED + 1, false)]), None);
    }

    #[test]
    fn a_cursor_above_what_the_chat_has_come_to_recovers_nothing() {
        let heads = [head("m", 9, false), head("closed", 9, true)];
        for chat in ["m", "closed"] {
            assert!(resumed(vec![Position { milestones: 1, ..position(chat, 9) }], &heads).is_some());
            assert_eq!(resumed(vec![position(chat, 10)], &heads), None);
            assert_eq!(resumed(vec![position(chat, i64::MAX)], &heads), None);
            assert_eq!(resumed(vec![Position { milestones: 2, ..position(chat, 9) }], &heads), None);
        }
    }

    #[test]
    fn a_cursor_without_chats_recovers_a_socket_without_chats() {
        assert_eq!(resumed(vec![], &[]).map(|recovery| recovery.chats), Some(vec![]));
    }
}
