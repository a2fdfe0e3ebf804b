//! A match as one of its members is shown it when a chat is joined.

use proto::{
    Code, UserId,
    chat::{Change, GetMatchResponse, Match, Message, Receipts, Sharing},
};

use crate::{
    epoch::Epoch,
    failure::Failure,
    mistake::{self, Mistake},
    others::names,
};

/// A match with a page of its messages, all of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The match; its `last_seq` is the head at that moment.
    pub of: Match,
    /// Ascending.
    pub messages: Vec<Message>,
    /// Whether more messages follow the page.
    pub has_more: bool,
    /// The changes that were asked for, ascending.
    pub changes: Vec<Change>,
    /// Whether more changes follow those.
    pub limited: bool,
    /// What lies between the messages, ascending.
    pub notes: Vec<Change>,
    /// How far the user has come, and the others as far as the user may see it; `None` while receipts are turned off.
    pub receipts: Option<Box<Receipts>>,
    /// What the user shows and sees of the others; nothing from a chat-service that does not know it.
    pub sharing: Box<Sharing>,
    /// Whether the other member is online, if the user may see it and the gateway knows.
    pub online: Option<bool>,
    /// The database's, if chat-service tells it.
    pub epoch: Option<Epoch>,
}

impl Snapshot {
    /// What a member of a match is shown of it.
    ///
    /// # Errors
    /// `MATCH_NOT_FOUND` unless the user is one.
    pub fn for_member(response: GetMatchResponse, user: &UserId) -> Result<Self, Failure> {
        let GetMatchResponse { r#match, messages, has_more, epoch, changes, limited, receipts, sharing, notes, .. } =
            response;
        let of = r#match.ok_or(Code::Internal)?;
        if !names(&of.members, user) && !mistake::is_planted(Mistake::OpenDoors) {
            return Err(Code::MatchNotFound.into());
        }
        Ok(Self {
            of,
            messages,
            has_more,
            changes,
            limited,
            notes,
            receipts: receipts.map(Box::new),
            sharing: Box::new(sharing.unwrap_or_default()),
            online: None,
            epoch: Epoch::read(&epoch),
        })
    }
}
