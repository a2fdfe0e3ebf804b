//! The error codes that clients see, on Socket.IO and REST alike.

/// Why something was refused. The table in the README says what each means to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The payload, or an id in it, is malformed.
    InvalidPayload,
    /// There is no valid token.
    Unauthenticated,
    /// The token has expired.
    TokenExpired,
    /// The token may not do this: it is a service token or none, or the message is somebody else's.
    Forbidden,
    /// The match does not exist, or the caller is not a member: both look alike.
    MatchNotFound,
    /// The match has no such message, or the user has hidden it.
    MessageNotFound,
    /// The message was deleted for everyone.
    MessageDeleted,
    /// It is too late to edit or delete the message, or it was edited too often.
    WindowPassed,
    /// The clientId was used for another body, or a match exists in another state.
    IdempotencyConflict,
    /// One of the two users has blocked the other (the app server only).
    BlockedPair,
    /// The group would have more members than it may.
    GroupFull,
    /// The members are not those that the caller knows.
    RevConflict,
    /// The call is not in a state that allows this.
    CallStateConflict,
    /// One of the two is in another call.
    CallBusy,
    /// The match has not unlocked this yet.
    MilestoneRequired,
    /// The socket has not joined the chat.
    NotJoined,
    /// There is no such live call.
    CallNotFound,
    /// The match is closed (members only).
    MatchClosed,
    /// The message is too large.
    PayloadTooLarge,
    /// Too many of these: try again after `retryAfterMs`.
    RateLimited,
    /// The user has as many sockets as one user may have; only a CONNECT is refused with this.
    TooManySockets,
    /// A defect on our side.
    Internal,
    /// The outcome is unknown: try again, with the same clientId.
    Unavailable,
}

impl Code {
    /// Every code there is.
    pub const ALL: [Self; 23] = [
        Self::InvalidPayload,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::Forbidden,
        Self::MatchNotFound,
        Self::MessageNotFound,
        Self::MessageDeleted,
        Self::WindowPassed,
        Self::IdempotencyConflict,
        Self::BlockedPair,
        Self::GroupFull,
        Self::RevConflict,
        Self::CallStateConflict,
        Self::CallBusy,
        Self::MilestoneRequired,
        Self::NotJoined,
        Self::CallNotFound,
        Self::MatchClosed,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::TooManySockets,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPayload => "INVALID_PAYLOAD",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::Forbidden => "FORBIDDEN",
            Self::MatchNotFound => "MATCH_NOT_FOUND",
            Self::MessageNotFound => "MESSAGE_NOT_FOUND",
            Self::MessageDeleted => "MESSAGE_DELETED",
            Self::WindowPassed => "WINDOW_PASSED",
            Self::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Self::BlockedPair => "BLOCKED_PAIR",
            Self::GroupFull => "GROUP_FULL",
            Self::RevConflict => "REV_CONFLICT",
            Self::CallStateConflict => "CALL_STATE_CONFLICT",
            Self::CallBusy => "CALL_BUSY",
            Self::MilestoneRequired => "MILESTONE_REQUIRED",
            Self::NotJoined => "NOT_JOINED",
            Self::CallNotFound => "CALL_NOT_FOUND",
            Self::MatchClosed => "MATCH_CLOSED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::TooManySockets => "TOO_MANY_SOCKETS",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// One sentence for people. It holds nothing of the request.
    pub fn message(self) -> &'static str {
        match self {
            Self::InvalidPayload => "The payload is malformed.",
            Self::Unauthenticated => "A valid token is required.",
            Self::TokenExpired => "The token has expired.",
            Self::Forbidden => "This token may not do this.",
            Self::MatchNotFound => "There is no such match.",
            Self::MessageNotFound => "There is no such message.",
            Self::MessageDeleted => "The message was deleted.",
            Self::WindowPassed => "It is too late to change the message.",
            Self::IdempotencyConflict => "This id was used for something else before.",
            Self::BlockedPair => "One of the two has blocked the other.",
            Self::GroupFull => "The group has as many members as it may.",
            Self::RevConflict => "The members have changed meanwhile.",
            Self::CallStateConflict => "The call is in a state that does not allow this.",
            Self::CallBusy => "One of the two is in another call.",
            Self::MilestoneRequired => "The match has not unlocked this yet.",
            Self::NotJoined => "Join the chat first.",
            Self::CallNotFound => "There is no such call.",
            Self::MatchClosed => "The match is closed.",
            Self::PayloadTooLarge => "The message is too large.",
            Self::RateLimited => "Too many requests. Try again later.",
            Self::TooManySockets => "This user is connected too many times.",
            Self::Internal => "Something went wrong on our side.",
            Self::Unavailable => "The outcome is unknown. Try again with the same clientId.",
        }
    }

    /// The HTTP status that goes with the code on REST.
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidPayload => 400,
            Self::Unauthenticated | Self::TokenExpired => 401,
            Self::Forbidden => 403,
            Self::MatchNotFound | Self::MessageNotFound | Self::CallNotFound => 404,
            Self::WindowPassed
            | Self::IdempotencyConflict
            | Self::BlockedPair
            | Self::GroupFull
            | Self::RevConflict
            | Self::CallStateConflict
            | Self::CallBusy
            | Self::MilestoneRequired
            | Self::NotJoined => 409,
            Self::MatchClosed | Self::MessageDeleted => 410,
            Self::PayloadTooLarge => 413,
            Self::RateLimited | Self::TooManySockets => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// Whether the same request may succeed later, unchanged.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::TooManySockets | Self::Unavailable | Self::Internal)
    }
}
