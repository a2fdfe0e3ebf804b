//! NATS subjects as typed builders: a subject knows what may be published on it.

use std::{
    fmt::{self, Write},
    marker::PhantomData,
};

use crate::{
    InboxKind, MatchId, UserId,
    chat::{MessagesCommitted, ReplicaAnnounced, SendReply, SendRequest},
    inbox::{CallEvent, ChatEvent, InboxEvent, PresenceAnnounced, PresenceAnswer, SignalTaken, SoftEvent},
    partition,
    signaling::{CallReply, CallRequest},
};

/// A subject on which payloads of type `P` are published.
pub struct Subject<P> {
    name: String,
    payload: PhantomData<fn(P)>,
}

/// A subject on which `Q` is requested and `R` replied.
pub type RequestSubject<Q, R> = Subject<(Q, R)>;

impl<P> Subject<P> {
    fn new(name: String) -> Self {
        Self { name, payload: PhantomData }
    }

    /// The subject as NATS sees it.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl<P> Clone for Subject<P> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
    }
}

impl<P> fmt::Debug for Subject<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The queue group in which the replicas of a service share requests.
pub const OWNER_GROUP: &str = "owner";

/// All subjects, behind the prefix of one stack (empty by default), so that two stacks can share a server.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    prefix: String,
}

impl Subjects {
    /// Subjects behind `prefix`, which carries its own dot: `t1.` makes `t1.user.alice.chat`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// A subject with room for so many bytes behind the prefix, as it is made for each message.
    fn named<P>(&self, room: usize, rest: fmt::Arguments<'_>) -> Subject<P> {
        let mut name = String::with_capacity(self.prefix.len() + room);
        name.push_str(&self.prefix);
        // Writing to a string cannot fail.
        let _ = name.write_fmt(rest);
        Subject::new(name)
    }

    /// What stands before every subject, stream and Redis key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `match.<p>.<matchId>.send`: the replica that owns `p`.
    pub fn send(&self, id: &MatchId) -> RequestSubject<SendRequest, SendReply> {
        self.named(id.as_str().len() + 16, format_args!("match.{}.{id}.send", partition::of(id)))
    }

    /// `match.any.<matchId>.send`: any replica, when the owner is silent.
    pub fn send_any(&self, id: &MatchId) -> RequestSubject<SendRequest, SendReply> {
        Subject::new(format!("{}match.any.{id}.send", self.prefix))
    }

    /// `match.<p>.*.send`: what the owner of `p` serves.
    pub fn owned_sends(&self, partition: u8) -> RequestSubject<SendRequest, SendReply> {
        Subject::new(format!("{}match.{partition}.*.send", self.prefix))
    }

    /// `match.any.*.send`: what every replica serves.
    pub fn any_sends(&self) -> RequestSubject<SendRequest, SendReply> {
        Subject::new(format!("{}match.any.*.send", self.prefix))
    }

    /// The sends of every match, whoever is asked: for a test that stands in for chat-service.
    pub fn all_sends(&self) -> RequestSubject<SendRequest, SendReply> {
        Subject::new(format!("{}match.*.*.send", self.prefix))
    }

    /// `match.<p>.<matchId>.call`.
    pub fn call(&self, id: &MatchId) -> RequestSubject<CallRequest, CallReply> {
        Subject::new(format!("{}match.{}.{id}.call", self.prefix, partition::of(id)))
    }

    /// What signaling-service serves: the calls of every match.
    pub fn all_calls(&self) -> RequestSubject<CallRequest, CallReply> {
        Subject::new(format!("{}match.*.*.call", self.prefix))
    }

    /// `user.<userId>.*`: what every gateway subscribes where the user is connected. Nobody publishes there.
    pub fn inbox(&self, id: &UserId) -> Subject<InboxEvent> {
        self.named(id.as_str().len() + 7, format_args!("user.{id}.*"))
    }

    /// `user.<userId>.chat`: what chat-service has stored.
    pub fn chat_inbox(&self, id: &UserId) -> Subject<ChatEvent> {
        self.inbox_of(InboxKind::Chat, id)
    }

    /// `user.<userId>.call`: what signaling-service tells of calls.
    pub fn call_inbox(&self, id: &UserId) -> Subject<CallEvent> {
        self.inbox_of(InboxKind::Call, id)
    }

    /// `user.<userId>.soft`: what other gateways tell.
    pub fn soft_inbox(&self, id: &UserId) -> Subject<SoftEvent> {
        self.inbox_of(InboxKind::Soft, id)
    }

    fn inbox_of<P>(&self, kind: InboxKind, id: &UserId) -> Subject<P> {
        self.named(id.as_str().len() + 10, format_args!("user.{id}.{}", kind.as_str()))
    }

    /// `user.<userId>.call` as a request: the gateway that holds the addressed device answers. No other gateway does.
    pub fn relay(&self, id: &UserId) -> RequestSubject<CallEvent, SignalTaken> {
        self.inbox_of(InboxKind::Call, id)
    }

    /// `user.<userId>.soft` as a request: every gateway where the user is connected answers.
    pub fn presence_question(&self, id: &UserId) -> RequestSubject<SoftEvent, PresenceAnswer> {
        self.inbox_of(InboxKind::Soft, id)
    }

    /// `presence.<userId>`: what gateways subscribe whose users watch this one.
    pub fn presence(&self, id: &UserId) -> Subject<PresenceAnnounced> {
        self.named(id.as_str().len() + 9, format_args!("presence.{id}"))
    }

    /// Whose presence a subject tells.
    pub fn presence_named<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.prefix)?.strip_prefix("presence.")
    }

    /// Whose inbox a subject is, and of which kind; of none that is known here if a newer version publishes it.
    pub fn inbox_named<'a>(&self, subject: &'a str) -> Option<(&'a str, Option<InboxKind>)> {
        let (id, kind) = subject.strip_prefix(&self.prefix)?.strip_prefix("user.")?.split_once('.')?;
        Some((id, InboxKind::named(kind)))
    }

    /// `chat.posted.heads` (JetStream): what the replicas of chat-service have committed.
    pub fn posted(&self) -> Subject<MessagesCommitted> {
        Subject::new(format!("{}chat.posted.heads", self.prefix))
    }

    /// The subjects that the stream of commits stores.
    pub fn all_posted(&self) -> Subject<MessagesCommitted> {
        Subject::new(format!("{}chat.posted.*", self.prefix))
    }

    /// `chat.replica`: each chat-service replica announces itself.
    pub fn replica(&self) -> Subject<ReplicaAnnounced> {
        Subject::new(format!("{}chat.replica", self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_frozen() {
        let subjects = Subjects::default();
        let (demo, alice) = (MatchId::new("demo").unwrap(), UserId::new("alice").unwrap());
        let p = partition::of(&demo);
        assert_eq!(subjects.send(&demo).as_str(), format!("match.{p}.demo.send"));
        assert_eq!(subjects.send_any(&demo).as_str(), "match.any.demo.send");
        assert_eq!(subjects.owned_sends(p).as_str(), format!("match.{p}.*.send"));
        assert_eq!(subjects.any_sends().as_str(), "match.any.*.send");
        assert_eq!(subjects.call(&demo).as_str(), format!("match.{p}.demo.call"));
        assert_eq!(subjects.inbox(&alice).as_str(), "user.alice.*");
        assert_eq!(subjects.chat_inbox(&alice).as_str(), "user.alice.chat");
        assert_eq!(subjects.call_inbox(&alice).as_str(), "user.alice.call");
        assert_eq!(subjects.soft_inbox(&alice).as_str(), "user.alice.soft");
        assert_eq!(subjects.relay(&alice).as_str(), "user.alice.call");
        assert_eq!(subjects.presence_question(&alice).as_str(), "user.alice.soft");
        assert_eq!(subjects.presence(&alice).as_str(), "presence.alice");
        assert_eq!(subjects.posted().as_str(), "chat.posted.heads");
        assert_eq!(subjects.replica().as_str(), "chat.replica");
    }

    #[test]
    fn an_inbox_is_told_by_its_subject() {
        let named = |subject| Subjects::default().inbox_named(subject);
        assert_eq!(named("user.alice.soft"), Some(("alice", Some(InboxKind::Soft))));
        assert_eq!(named("user.alice.presence"), Some(("alice", None)));
        assert_eq!(named("user.alice.chat.more"), Some(("alice", None)));
        assert_eq!(named("presence.alice"), None);
        assert_eq!(Subjects::new("t1.").presence_named("t1.presence.alice"), Some("alice"));
        assert_eq!(Subjects::default().presence_named("user.alice.soft"), None);
        assert_eq!(["user.alice", "user", "match.any.demo.send", ""].map(named), [None; 4]);
    }

    #[test]
    fn a_prefix_stands_before_every_subject() {
        let subjects = Subjects::new("t1.");
        assert_eq!(subjects.inbox(&UserId::new("bob").unwrap()).as_str(), "t1.user.bob.*");
        assert_eq!(subjects.inbox_named("t1.user.bob.chat"), Some(("bob", Some(InboxKind::Chat))));
        assert_eq!(subjects.inbox_named("user.bob.chat"), None);
        assert_eq!(subjects.all_sends().as_str(), "t1.match.*.*.send");
    }
}
