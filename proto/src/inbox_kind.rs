//! The kinds of events that a user's inbox hears. Each kind has a subject and events of its own, so that permissions
//! can say who may publish what.

use crate::inbox::{chat_event, inbox_event::Event, soft_event};

/// A kind of events in a user's inbox: the last token of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InboxKind {
    /// What chat-service has stored.
    Chat,
    /// Steps and signals of calls, from signaling-service.
    Call,
    /// What gateways tell one another. Nothing of it is stored, and losing it does no harm.
    Soft,
}

impl InboxKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Call, Self::Soft];

    /// Its token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Call => "call",
            Self::Soft => "soft",
        }
    }

    /// The kind with this token. `None` for one that only a newer version knows.
    pub fn named(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == token)
    }

    /// The only kind that may bring an event.
    pub const fn of(event: &Event) -> Self {
        match event {
            Event::MessagesPosted(_)
            | Event::MilestoneReached(_)
            | Event::MatchClosed(_)
            | Event::MatchChanged(_)
            | Event::MessageHidden(_)
            | Event::ReceiptUpdated(_)
            | Event::SharingChanged(_)
            | Event::ReceiptsUpdated(_) => Self::Chat,
            Event::CallChanged(_) => Self::Call,
            Event::TypingChanged(_) | Event::SocketReplaced(_) | Event::PresenceAsked(_) => Self::Soft,
        }
    }
}

/// As gateways read it.
impl From<chat_event::Event> for Event {
    fn from(published: chat_event::Event) -> Self {
        match published {
            chat_event::Event::MessagesPosted(posted) => Self::MessagesPosted(posted),
            chat_event::Event::MilestoneReached(reached) => Self::MilestoneReached(reached),
            chat_event::Event::MatchClosed(closed) => Self::MatchClosed(closed),
            chat_event::Event::MatchChanged(changed) => Self::MatchChanged(changed),
            chat_event::Event::MessageHidden(hidden) => Self::MessageHidden(hidden),
            chat_event::Event::ReceiptUpdated(updated) => Self::ReceiptUpdated(updated),
            chat_event::Event::SharingChanged(changed) => Self::SharingChanged(changed),
            chat_event::Event::ReceiptsUpdated(updated) => Self::ReceiptsUpdated(updated),
        }
    }
}

/// As gateways read it.
impl From<soft_event::Event> for Event {
    fn from(published: soft_event::Event) -> Self {
        match published {
            soft_event::Event::TypingChanged(changed) => Self::TypingChanged(changed),
            soft_event::Event::SocketReplaced(replaced) => Self::SocketReplaced(replaced),
            soft_event::Event::PresenceAsked(asked) => Self::PresenceAsked(asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::chat::Message;
    use crate::inbox::{
        CallChanged, CallEvent, ChatEvent, InboxEvent, MatchChanged, MatchClosed, MessagesPosted, MilestoneReached,
        SocketReplaced, SoftEvent, TypingChanged, call_event,
    };

    /// The kind of a published event as its reader decodes it, and its number.
    fn read(published: &impl prost::Message) -> (InboxKind, u8) {
        let wire = published.encode_to_vec();
        let heard = InboxEvent::decode(wire.as_slice()).unwrap();
        assert_eq!(heard.encode_to_vec(), wire);
        (InboxKind::of(&heard.event.unwrap()), wire[0] >> 3)
    }

    #[test]
    fn an_event_is_read_as_it_was_published() {
        let read = |wire: Vec<u8>| InboxEvent::decode(wire.as_slice()).unwrap().event.unwrap();
        for event in [
            soft_event::Event::SocketReplaced(SocketReplaced { connection: 8, ..SocketReplaced::default() }),
            soft_event::Event::TypingChanged(TypingChanged { is_typing: true, ..TypingChanged::default() }),
        ] {
            assert_eq!(read(SoftEvent { event: Some(event.clone()) }.encode_to_vec()), event.into());
        }
        for event in [
            chat_event::Event::MessagesPosted(MessagesPosted {
                messages: vec![Message { seq: 3, ..Message::default() }],
            }),
            chat_event::Event::MilestoneReached(MilestoneReached { match_id: "m".to_owned(), milestone: None }),
            chat_event::Event::MatchClosed(MatchClosed { rev: 5, ..MatchClosed::default() }),
            chat_event::Event::MatchChanged(MatchChanged { match_id: "m".to_owned(), change: None }),
        ] {
            assert_eq!(read(ChatEvent { event: Some(event.clone()) }.encode_to_vec()), event.into());
        }
    }

    #[test]
    fn each_event_has_a_kind_and_a_number_that_no_other_kind_uses() {
        let chat = |event| read(&ChatEvent { event: Some(event) });
        let soft = |event| read(&SoftEvent { event: Some(event) });
        let called = call_event::Event::CallChanged(CallChanged::default());
        assert_eq!(chat(chat_event::Event::MessagesPosted(MessagesPosted::default())), (InboxKind::Chat, 1));
        assert_eq!(soft(soft_event::Event::TypingChanged(TypingChanged::default())), (InboxKind::Soft, 2));
        assert_eq!(chat(chat_event::Event::MilestoneReached(MilestoneReached::default())), (InboxKind::Chat, 3));
        assert_eq!(chat(chat_event::Event::MatchClosed(MatchClosed::default())), (InboxKind::Chat, 4));
        assert_eq!(read(&CallEvent { event: Some(called) }), (InboxKind::Call, 5));
        assert_eq!(soft(soft_event::Event::SocketReplaced(SocketReplaced::default())), (InboxKind::Soft, 6));
        assert_eq!(chat(chat_event::Event::MatchChanged(MatchChanged::default())), (InboxKind::Chat, 7));
    }

    #[test]
    fn tokens_are_frozen() {
        assert_eq!(InboxKind::ALL.map(InboxKind::as_str), ["chat", "call", "soft"]);
        assert_eq!(InboxKind::ALL.map(|kind| InboxKind::named(kind.as_str())), InboxKind::ALL.map(Some));
        assert_eq!(InboxKind::named("presence"), None);
    }
}
