//! The names of the Socket.IO events, as the app's team fixed them.

/// Events that clients send.
pub mod command {
    /// Opens a chat: `matchId` or `{matchId, sinceSeq?, sinceRev?, keepOthers?}`.
    pub const JOIN_CHAT: &str = "join_chat";
    /// Leaves a chat: `matchId`.
    pub const LEAVE_CHAT: &str = "leave_chat";
    /// Sends a message: `{matchId, message, clientId?, replyTo?}`.
    pub const SEND_MESSAGE: &str = "send_message";
    /// Gives a message of one's own another content: `{matchId, seq, message, clientId?}`.
    pub const EDIT_MESSAGE: &str = "edit_message";
    /// Deletes a message, for everyone or for oneself: `{matchId, seq, scope}`.
    pub const DELETE_MESSAGE: &str = "delete_message";
    /// Reacts to a message, or takes that back: `{matchId, seq, emoji, on, clientId?}`.
    pub const REACT: &str = "react";
    /// Notes up to which message the user has read a chat: `{matchId, seq}`.
    pub const MARK_READ: &str = "mark_read";
    /// Notes up to which messages the user has chats, as when a push has shown them: `{chats: [{matchId, seq}]}`.
    pub const MARK_DELIVERED: &str = "mark_delivered";
    /// Names the chats in which the socket is to hear whether the other member is online: `{matchIds}`.
    pub const WATCH_PRESENCE: &str = "watch_presence";
    /// Tells whether the app is in use on this device: `{state: "active" | "background"}`.
    pub const SET_APP_STATE: &str = "set_app_state";
    /// Tells the other side that one types: `{matchId, isTyping}`.
    pub const TYPING: &str = "typing";
    /// Starts a call: `{matchId, media?}`.
    pub const VIDEO_CALL_REQUEST: &str = "video_call_request";
    /// Relays WebRTC signaling of an accepted call: `{callId, …}`.
    pub const VIDEO_CALL_SIGNAL: &str = "video_call_signal";
    /// Asks what has changed in all of the user's matches: `{token?, known?, messages?, limit?}`.
    pub const SYNC: &str = "sync";
    /// Renews the token of the connection: `{token}`.
    pub const REFRESH_TOKEN: &str = "refresh_token";
}

/// Events that go both ways: the client commands, the server tells.
pub mod both {
    /// A call is accepted.
    pub const VIDEO_CALL_ACCEPTED: &str = "video_call_accepted";
    /// A call is rejected.
    pub const VIDEO_CALL_REJECTED: &str = "video_call_rejected";
    /// A call is over.
    pub const VIDEO_CALL_ENDED: &str = "video_call_ended";
}

/// Events that the server sends.
pub mod event {
    /// The chat is open.
    pub const CHAT_JOINED: &str = "chat_joined";
    /// The chat is left.
    pub const CHAT_LEFT: &str = "chat_left";
    /// A message of a joined chat.
    pub const RECEIVE_MESSAGE: &str = "receive_message";
    /// A message of a joined chat was edited, deleted, or reacted to; or the user has hidden it.
    pub const MESSAGE_CHANGED: &str = "message_changed";
    /// A member has read or received more.
    pub const RECEIPT_UPDATED: &str = "receipt_updated";
    /// The other member of a chat that is watched has come online, or is online no more.
    pub const PRESENCE_CHANGED: &str = "presence_changed";
    /// A message of a chat that is not joined.
    pub const INBOX_UPDATED: &str = "inbox_updated";
    /// Another member types, or has stopped.
    pub const USER_TYPING: &str = "user_typing";
    /// The match has reached a milestone.
    pub const MILESTONE_REACHED: &str = "milestone_reached";
    /// The members of a joined chat have changed.
    pub const MEMBERSHIP_CHANGED: &str = "membership_changed";
    /// The match was closed, or the user is no member of it any more.
    pub const MATCH_CLOSED: &str = "match_closed";
    /// Somebody calls.
    pub const VIDEO_CALL_INCOMING: &str = "video_call_incoming";
    /// Relayed WebRTC signaling.
    pub const VIDEO_CALL_SIGNAL: &str = super::command::VIDEO_CALL_SIGNAL;
    /// The token is about to expire.
    pub const TOKEN_EXPIRING: &str = "token_expiring";
    /// The gateway is about to close the transport.
    pub const SERVER_DRAINING: &str = "server_draining";
    /// A `send_message` without a callback failed.
    pub const MESSAGE_ERROR: &str = "message_error";
    /// A `join_chat` without a callback failed.
    pub const CHAT_JOIN_ERROR: &str = "chat_join_error";
    /// A call event without a callback failed.
    pub const CALL_ERROR: &str = "call_error";
}
