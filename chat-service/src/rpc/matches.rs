//! Calls about matches.

use std::collections::BTreeSet;

use proto::{
    UserId,
    chat::{
        ChangeMembersRequest, ChangeMembersResponse, CloseMatchRequest, CloseMatchResponse, Code, GetMatchRequest,
        GetMatchResponse, HeadsRequest, HeadsResponse, ListMatchesRequest, ListMatchesResponse, Match, PutMatchRequest,
        PutMatchResponse,
    },
};
use tonic::Status;
use tracing::info;

use super::{
    Rpc, limit,
    status::{match_id, no_match, user_id},
};
use crate::{
    audience::Audience,
    command::{ChangeMembers, CloseMatch, MAX_MEMBERS},
    heads::Asked,
    may::{Action, Standing, may},
    outcome::{Changed, Refusal},
    store::{Page, Put, Since},
    tenure::Tenure,
};

/// The most matches whose heads one call may ask for.
const MAX_HEADS: usize = 1_000;
/// The fewest members with which a match is made.
const MIN_MEMBERS: usize = 2;
/// The most users whom one change of members names.
const MAX_NAMED: usize = 500;

impl Rpc {
    pub(super) async fn get(&self, request: GetMatchRequest) -> Result<GetMatchResponse, Status> {
        let action = action(request.action());
        let (id, user) = (match_id(request.match_id)?, request.user_id.map(user_id).transpose()?);
        let since = Since { seq: request.since_seq, rev: request.since_rev, limit: limit(request.limit) };
        let page = self.store.get_match((&id, user.as_ref()), since).await?;
        let Page { found, messages, has_more, epoch, changes, receipts, sharing, notes } = page.ok_or_else(no_match)?;
        let refused = user.and_then(|user| refused(&user, action, &found)).map(i32::from);
        let (changes, limited) = changes.map_or((Vec::new(), false), |listed| (listed.changes, listed.has_more));
        let receipts = receipts.filter(|_| self.marks.is_some());
        let found = Some(found);
        let page = GetMatchResponse { r#match: found, messages, has_more, epoch, refused, ..Default::default() };
        Ok(GetMatchResponse { changes, limited, receipts, sharing, notes, ..page })
    }

    pub(super) async fn put(&self, request: PutMatchRequest) -> Result<PutMatchResponse, Status> {
        if let Some(group) = request.group {
            return self.put_group(request.match_id, group).await;
        }
        let id = match_id(request.match_id)?;
        let members = members(request.members)?;
        let (found, created) = match self.store.put_match(&id, &members).await? {
            Put::Created(found) => (Some(found), true),
            Put::Present(found) => (Some(found), false),
            Put::Blocked => (None, false),
            Put::Refused => return Err(Status::failed_precondition("the match is closed, or another one")),
        };
        let blocked = found.is_none();
        Ok(PutMatchResponse { r#match: found, created, blocked, failure: None })
    }

    /// Every call tells the inboxes, so that one whose news were lost can be repeated.
    pub(super) async fn close(&self, request: CloseMatchRequest) -> Result<CloseMatchResponse, Status> {
        let match_id = match_id(request.match_id)?;
        let closed = self.change(CloseMatch { match_id: match_id.clone() }).await?;
        info!(r#match = %match_id, "closed");
        Ok(CloseMatchResponse { closed_at_ms: closed.change.created_at_ms })
    }

    pub(super) async fn change_members_of(
        &self,
        request: ChangeMembersRequest,
    ) -> Result<ChangeMembersResponse, Status> {
        let command = change_of_members(request)?;
        let match_id = command.match_id.clone();
        let Changed { change, is_new } = self.change(command).await?;
        if is_new {
            info!(r#match = %match_id, rev = change.rev, "its members have changed");
        }
        let members = self.store.audience(&match_id).await?.ok_or(Refusal::NoMatch)?;
        let members = members.members().iter().map(ToString::to_string).collect();
        Ok(ChangeMembersResponse { rev: change.rev, after_seq: change.after_seq, members })
    }

    pub(super) async fn matches_of(&self, request: ListMatchesRequest) -> Result<ListMatchesResponse, Status> {
        let user = user_id(request.user_id)?;
        let after = request.after.map(match_id).transpose()?;
        let after = after.as_ref().map_or("", |id| id.as_str());
        let (matches, has_more) = self.store.list_matches(&user, after, limit(request.limit)).await?;
        Ok(ListMatchesResponse { matches, has_more })
    }

    pub(super) async fn heads_of(&self, request: HeadsRequest) -> Result<HeadsResponse, Status> {
        if request.match_ids.len() > MAX_HEADS {
            return Err(Status::invalid_argument(format!("at most {MAX_HEADS} matches")));
        }
        let ids = request.match_ids.into_iter().map(|id| match_id(id).map(String::from));
        let user = request.user_id.map(user_id).transpose()?;
        let asked = Asked { ids: ids.collect::<Result<_, _>>()?, with_members: request.with_members, user };
        self.heads.of(asked).await.map_err(|_| Status::unavailable("heads cannot be read now"))
    }
}

fn action(asked: proto::chat::Action) -> Action {
    match asked {
        proto::chat::Action::Read => Action::Read,
        proto::chat::Action::Send => Action::Send,
        proto::chat::Action::Call => Action::Call,
    }
}

/// Why the user may not do it, if so.
fn refused(user: &UserId, action: Action, found: &Match) -> Option<Code> {
    let audience = if let Some(group) = &found.group {
        let members = group.members.iter().enumerate();
        let members = members
            .filter_map(|(n, of)| Some((UserId::new(of.user_id.as_str()).ok()?, Tenure::founding(of.role(), n))));
        Audience::group(members.collect(), found.members_rev)
    } else {
        let members = found.members.iter().filter_map(|member| UserId::new(member.as_str()).ok());
        Audience::new(members.collect(), found.members_rev)
    };
    may(user, action, Standing { audience: &audience, closed: found.closed_at_ms.is_some() }).err()
}

fn change_of_members(request: ChangeMembersRequest) -> Result<ChangeMembers, Status> {
    let ChangeMembersRequest { match_id: id, add, remove, actor, expected_rev } = request;
    let named = add.len() + remove.len();
    let users = |ids: Vec<String>| ids.into_iter().map(user_id).collect::<Result<BTreeSet<_>, _>>();
    let (add, remove) = (users(add)?, users(remove)?);
    if named > MAX_NAMED || add.union(&remove).count() < named {
        return Err(Status::invalid_argument(format!("at most {MAX_NAMED} users, each named once")));
    }
    Ok(ChangeMembers { match_id: match_id(id)?, add, remove, actor: actor.map(user_id).transpose()?, expected_rev })
}

/// Different users, sorted.
fn members(ids: Vec<String>) -> Result<Vec<UserId>, Status> {
    let mut members = ids.into_iter().map(user_id).collect::<Result<Vec<_>, _>>()?;
    members.sort_unstable();
    if !(MIN_MEMBERS..=MAX_MEMBERS).contains(&members.len()) {
        return Err(Status::invalid_argument(format!("a match has {MIN_MEMBERS} to {MAX_MEMBERS} members")));
    }
    if members.windows(2).any(|two| two[0] == two[1]) {
        return Err(Status::invalid_argument("the members of a match are different users"));
    }
    Ok(members)
}
