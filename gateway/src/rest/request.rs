//! What callers ask for, in the body or the query: read and checked.

use std::borrow::Cow;

use proto::{
    ClientId, MatchId, UserId,
    chat::{Group, Member, Role, list_messages_request::Position},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    failure::Failure,
    moment,
    payload::{self, Content},
};

/// Which page of the caller's matches, and in which order.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) order: Order,
    /// Of matches by id the one after which the page starts, else what the page before has named.
    pub(super) after: Option<String>,
    pub(super) limit: Option<i32>,
}

/// How matches are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// By their ids.
    #[default]
    Id,
    /// The newest activity first.
    Activity,
}

impl ListQuery {
    /// The match after which the page starts, of matches by id.
    pub(super) fn after(&self) -> Result<Option<MatchId>, Failure> {
        self.after.as_deref().map(MatchId::new).transpose().map_err(|_| Failure::invalid())
    }
}

/// Which page of a match's messages.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    before: Option<i64>,
    after: Option<i64>,
    pub(super) limit: Option<i32>,
}

impl PageQuery {
    /// Where the page lies; `None` for the latest.
    pub(super) fn position(&self) -> Result<Option<Position>, Failure> {
        match (self.before, self.after) {
            (None, None) => Ok(None),
            (Some(before), None) if before >= 0 => Ok(Some(Position::Before(before))),
            (None, Some(after)) if after >= 0 => Ok(Some(Position::After(after))),
            _ => Err(Failure::invalid()),
        }
    }
}

/// A message to be saved.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    pub(super) reply_to: Option<i64>,
}

impl NewMessage<'_> {
    /// The content, and the id under which it is stored once.
    pub(super) fn read(&self) -> Result<(Content, ClientId), Failure> {
        let content = Content::parse(self.message.get())?;
        let client_id = payload::client_id(self.client_id.as_deref(), moment::now())?;
        if self.reply_to.is_some_and(|seq| seq < 1) { Err(Failure::invalid()) } else { Ok((content, client_id)) }
    }
}

/// Which page of a match's changes.
#[derive(Debug, Deserialize)]
pub(super) struct ChangesQuery {
    after: Option<i64>,
    pub(super) limit: Option<i32>,
}

impl ChangesQuery {
    /// The rev after which the page starts.
    pub(super) fn after(&self) -> Result<i64, Failure> {
        self.after.filter(|rev| *rev >= 0).or(self.after.is_none().then_some(0)).ok_or_else(Failure::invalid)
    }
}

/// A match to be made.
#[derive(Debug, Deserialize)]
pub(super) struct NewMatch<'a> {
    kind: Option<Kind>,
    #[serde(borrow)]
    members: &'a RawValue,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
}

/// What a match is: of two alone, unless it says otherwise.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Pair,
    Group,
}

/// A role in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleName {
    Owner,
    Admin,
    Member,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewMember {
    user_id: String,
    role: RoleName,
}

/// Whose match it is to be.
#[derive(Debug, PartialEq)]
pub(super) enum Members {
    /// Of these two.
    Pair([UserId; 2]),
    /// Of a group.
    Group(Group),
}

impl NewMatch<'_> {
    /// Different users; of a group one is an owner.
    pub(super) fn members(&self) -> Result<Members, Failure> {
        match self.kind.unwrap_or_default() {
            Kind::Pair => self.pair().map(Members::Pair),
            Kind::Group => self.group().map(Members::Group),
        }
    }

    fn pair(&self) -> Result<[UserId; 2], Failure> {
        let members: [String; 2] = read(self.members)?;
        let [first, second] = members.map(|id| UserId::new(id).map_err(|_| Failure::invalid()));
        let members = [first?, second?];
        if members[0] == members[1] { Err(Failure::invalid()) } else { Ok(members) }
    }

    fn group(&self) -> Result<Group, Failure> {
        let members: Vec<NewMember> = read(self.members)?;
        let title: Option<String> = self.title.map(read).transpose()?.flatten();
        let mut ids: Vec<&str> = members.iter().map(|member| member.user_id.as_str()).collect();
        ids.sort_unstable();
        let is_twice = ids.windows(2).any(|two| two[0] == two[1]);
        let is_malformed = ids.iter().any(|id| UserId::new(*id).is_err());
        if ids.len() < 2 || is_twice || is_malformed || !members.iter().any(|of| of.role == RoleName::Owner) {
            return Err(Failure::invalid());
        }
        let member = |NewMember { user_id, role }| Member { user_id, role: role.role().into() };
        Ok(Group { title, members: members.into_iter().map(member).collect() })
    }
}

impl RoleName {
    /// As chat-service is told it.
    pub(super) fn role(self) -> Role {
        match self {
            Self::Owner => Role::Owner,
            Self::Admin => Role::Admin,
            Self::Member => Role::Member,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(json.get()).map_err(|_| Failure::invalid())
}
