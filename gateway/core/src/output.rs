//! What comes out of the core, and what the shell brings back to it.

use std::{sync::Arc, time::Duration};

use proto::{
    Code, MatchId, UserId,
    chat::{
        GetReceiptsResponse, ListChangesResponse, ListMessagesResponse, MatchHead, Position, SendReply, SendRequest,
        Sharing, SyncRequest,
    },
    inbox::SoftEvent,
    signaling::{Call, CallRequest, GetCallResponse, get_call_request::Of},
};

use crate::{
    Failure,
    message_command::{MessageCommand, MessageDone},
    posted::Posted,
    reply::Reply,
    snapshot::Snapshot,
    synced::Synced,
    validity::Validity,
};

/// A socket: a number of its own, by chance, which also tells it from an earlier socket with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A command at work: its socket, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnId {
    /// The socket.
    pub socket: SocketId,
    /// A number by chance.
    pub number: u64,
}

/// What the shell is to do. `T` is what a send holds until its outcome is known.
#[derive(Debug)]
pub enum Output<T> {
    /// Emits an event to a socket.
    Emit(SocketId, Event),
    /// Acks the event of a socket that had this ack id, with the whole argument.
    Ack(SocketId, u64, String),
    /// Counts a refusal.
    Rejected(Code),
    /// Reads nothing more from the socket's client for a moment.
    PauseReads(SocketId),
    /// Has the socket's client prove that it has what was emitted until now, and says so then.
    Prove(SocketId),
    /// Closes the socket's transport after what was emitted is written: its client comes back.
    Close(SocketId),
    /// Publishes to the inboxes of these users.
    Publish(Arc<[UserId]>, SoftEvent, Patience),
    /// Asks a service, and brings the answer back.
    Ask(Ask<T>),
    /// Brings the timer back after a while.
    After(Duration, Timer),
    /// Says so once most of what was emitted to the socket has been read, or it is closed: what is fetched for a chat
    /// then does not fill the queue whose bound would close the transport.
    AwaitRoom(SocketId, MatchId),
    /// Has the core hear from now on whether a user is online, and at once if that is not what a socket was told.
    Watch(UserId, Option<bool>),
    /// The user has a socket here that is in use, or has none any more.
    Activity(bool),
}

/// An event for a client.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: &'static str,
    /// Its argument.
    pub json: Json,
    /// The cursor after it, as one more argument; empty if the event has none.
    pub cursor: String,
}

/// The argument of an event.
#[derive(Debug)]
pub enum Json {
    /// Of this event alone.
    Own(String),
    /// A message, rendered once for all sockets.
    Message(Arc<Posted>),
}

impl Event {
    pub(crate) fn new(name: &'static str, json: String) -> Self {
        Self { name, json: Json::Own(json), cursor: String::new() }
    }

    pub(crate) fn recoverable(name: &'static str, json: String, cursor: String) -> Self {
        Self { name, json: Json::Own(json), cursor }
    }

    /// The argument as JSON.
    pub fn json(&self) -> &str {
        match &self.json {
            Json::Own(json) => json,
            Json::Message(posted) => posted.json(),
        }
    }
}

/// How long a publish waits for room on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patience {
    /// Within bounds.
    Bounded,
    /// Not at all: without room it is dropped. If a chat of a socket is named, the core hears when nobody was told.
    None(Option<(SocketId, MatchId)>),
}

/// A question to a service.
#[derive(Debug)]
pub enum Ask<T> {
    /// Stores messages: [`Answer::Sent`].
    Send {
        /// Whose turn it is.
        turn: TurnId,
        /// The match.
        chat: MatchId,
        /// The request.
        request: SendRequest,
        /// What the sends hold.
        tickets: Vec<T>,
    },
    /// Changes a stored message, or hides it: [`Answer::Changed`].
    Change {
        /// Whose turn it is.
        turn: TurnId,
        /// The match.
        chat: MatchId,
        /// The command to the message.
        command: MessageCommand,
    },
    /// Notes up to which messages the user has read and received a match: [`Answer::Marked`].
    Mark {
        /// The match.
        chat: MatchId,
        /// The highest of these that exists counts.
        read: Vec<i64>,
        /// The same of what a device has.
        delivered: Vec<i64>,
    },
    /// Reads how far the others have come in these matches, for a socket: [`Answer::Receipts`].
    Receipts(SocketId, Vec<String>),
    /// Reads what the user shows and sees in these matches, at most 66, for a socket: [`Answer::Sharing`].
    Sharing(SocketId, SharingFor, Vec<String>),
    /// Reads the snapshot of a match that is joined, and the user's live call: [`Answer::Opened`].
    Open {
        /// Whose turn it is.
        turn: TurnId,
        /// The match.
        chat: MatchId,
        /// What of it.
        since: Since,
    },
    /// Reads a page of messages: [`Answer::Messages`].
    Messages {
        /// For which socket.
        socket: SocketId,
        /// Of which match.
        chat: MatchId,
        /// After which message.
        after: i64,
        /// Most messages.
        limit: i32,
    },
    /// Reads how far these matches have come: [`Answer::Heads`].
    Heads(Vec<String>),
    /// Reads a page of changes: [`Answer::Changes`].
    Changes {
        /// For which socket.
        socket: SocketId,
        /// Of which match.
        chat: MatchId,
        /// After which rev.
        after: i64,
        /// Most changes.
        limit: i32,
    },
    /// Gives signaling a command: [`Answer::Called`].
    Call(SocketId, CallFor, MatchId, Box<CallRequest>),
    /// Looks for a live call, or for what was missed of one: [`Answer::CallFound`].
    FindCall(SocketId, CallFor, Of),
    /// Reads what has changed in the user's matches: [`Answer::Synced`].
    Sync(SocketId, Reply, SyncRequest),
    /// Checks a token: [`Answer::Identified`].
    Identify(SocketId, Reply, String),
}

/// What is to be read of a match beside itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    /// Messages after this one, if any.
    pub seq: Option<i64>,
    /// Changes after this one, if any.
    pub rev: Option<i64>,
    /// Most of each.
    pub limit: i32,
}

/// What a call is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFor {
    /// The command that is at work.
    Command,
    /// The lease of a call of a match.
    Lease(String, MatchId),
    /// A socket that has just connected, after so many questions without an answer.
    Newcomer(u32),
}

/// What it is asked for what the user shows and sees.
#[derive(Debug)]
pub enum SharingFor {
    /// A `watch_presence`.
    Watch {
        /// How it is answered.
        reply: Reply,
        /// What it names.
        chats: Vec<MatchId>,
        /// Its number.
        number: u32,
    },
    /// What the socket has open or watches, after so many questions without an answer.
    Known {
        /// So many.
        tries: u32,
    },
}

/// What a user shows and sees in one match.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// As chat-service says.
    pub sharing: Sharing,
    /// Whether the other member is online, if the user may see it and the gateway knows.
    pub online: Option<bool>,
}

/// What a join is to show, or why not.
pub type Opened = Result<(Snapshot, Option<Call>), Failure>;

/// What has become of an [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// What has become of each message.
    Sent(TurnId, SendReply),
    /// What has become of the command to a message.
    Changed(TurnId, Result<MessageDone, Failure>),
    /// Where the user stands in the match.
    Marked(MatchId, Result<Position, Failure>),
    /// How far the others have come.
    Receipts(SocketId, Result<GetReceiptsResponse, Failure>),
    /// What the user shows and sees.
    Sharing(SocketId, SharingFor, Result<Vec<Found>, Failure>),
    /// The match, and the user's live call if there is one and signaling has told.
    Opened(TurnId, Opened),
    /// The page of messages.
    Messages(SocketId, MatchId, Result<ListMessagesResponse, Failure>),
    /// The page of changes.
    Changes(SocketId, MatchId, Result<ListChangesResponse, Failure>),
    /// The heads. Without an answer nothing is brought back: they are compared again.
    Heads(Vec<MatchHead>),
    /// The call after the command.
    Called(SocketId, CallFor, Result<Call, Failure>),
    /// The call, if there is one, and what was missed.
    CallFound(SocketId, CallFor, Result<GetCallResponse, Failure>),
    /// What has changed, and the user's live call.
    Synced(SocketId, Reply, Result<Synced, Failure>),
    /// Whose the token is, and how long it is good.
    Identified(SocketId, Reply, Result<(UserId, Validity), Failure>),
}

/// What happens later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// The healing of a socket's chat goes on.
    Heal(SocketId, MatchId),
    /// A socket's client may be asked again to prove what it has.
    Prove(SocketId),
    /// The next marks of a match may be sent.
    Mark(MatchId),
    /// It is asked again what a socket's user shows and sees, after so many questions without an answer.
    Sharing(SocketId, u32),
    /// A command waits no longer for the message that its socket sent before.
    OwnIsLate(TurnId),
    /// A socket that takes over looks again for its user's call.
    TakeOver(SocketId),
    /// A socket that has just connected asks again what it missed of calls, after so many questions.
    FindCalls(SocketId, u32),
    /// The lease of a call is renewed.
    Renew(SocketId, String, MatchId),
    /// The end of a call that is gone should have been told by now.
    CallIsLost(SocketId, String, MatchId),
}
