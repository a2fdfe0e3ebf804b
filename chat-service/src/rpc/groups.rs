//! Calls about groups: made, their members changed, left.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    UserId,
    chat::{
        Addition, Code, Failure, Group, LeaveGroupRequest, LeaveGroupResponse, Member, Members, PatchMembersRequest,
        PatchMembersResponse, PutMatchResponse, Role, patch_members_response,
    },
};
use tonic::Status;
use tracing::info;

use super::{
    Rpc,
    status::{failure, match_id, user_id},
};
use crate::{
    audience::Audience,
    command::{self, Command, LeaveGroup, PatchMembers},
    outcome::{Changed, Refusal},
    store::{NewGroup, Put},
};

/// The fewest members with which a group is made.
const MIN_MEMBERS: usize = 2;
/// The most users whom one change of members names.
const MAX_NAMED: usize = 500;
/// The longest title, in Unicode scalar values.
const MAX_TITLE_CHARS: usize = 100;
impl Rpc {
    pub(super) async fn put_group(&self, id: String, group: Group) -> Result<PutMatchResponse, Status> {
        let group = new_group(id, group)?;
        if group.members.len() > self.rules.max_group {
            let failure = Failure { code: Code::GroupFull.into(), ..Failure::default() };
            return Ok(PutMatchResponse { failure: Some(failure), ..PutMatchResponse::default() });
        }
        let (found, created) = match self.store.put_group(&group).await? {
            Put::Created(found) => (found, true),
            Put::Present(found) => (found, false),
            Put::Refused | Put::Blocked => {
                return Err(Status::failed_precondition("the match is closed, or another one"));
            }
        };
        Ok(PutMatchResponse { r#match: Some(found), created, ..PutMatchResponse::default() })
    }

    pub(super) async fn patch_members_of(&self, request: PatchMembersRequest) -> Result<PatchMembersResponse, Status> {
        let command = patch(request, self.rules.max_group)?;
        let (id, actor) = (command.match_id.clone(), command.actor.clone());
        let result = match self.change_group(command, actor.as_ref()).await? {
            Ok(Changed { change, is_new }) => {
                if is_new {
                    info!(r#match = %id, rev = change.rev, "its members have changed");
                }
                let now = self.store.audience(&id).await?.ok_or(Refusal::NoMatch)?;
                let (rev, after_seq) = (change.rev, change.after_seq);
                patch_members_response::Result::Members(Members { rev, after_seq, members: members(&now) })
            }
            Err(refusal) => patch_members_response::Result::Failure(failure(refusal)?),
        };
        Ok(PatchMembersResponse { result: Some(result) })
    }

    /// Of who is no member it is looked, by the user's own key, whether it has left before: then this is a repeat.
    pub(super) async fn leave_group_of(&self, request: LeaveGroupRequest) -> Result<LeaveGroupResponse, Status> {
        let (match_id, user) = (match_id(request.match_id)?, user_id(request.user_id)?);
        let command = LeaveGroup { match_id: match_id.clone(), user: user.clone() };
        let failure = match self.change_group(command, Some(&user)).await? {
            Ok(_) => None,
            Err(Refusal::NoMatch | Refusal::MayNot(Code::MatchNotFound))
                if self.store.has_left(&match_id, &user).await? =>
            {
                None
            }
            Err(refusal) => Some(failure(refusal)?),
        };
        Ok(LeaveGroupResponse { failure })
    }

    /// For a match of others and for one that does not exist the same is done.
    async fn change_group(
        &self,
        command: impl Command + 'static,
        actor: Option<&UserId>,
    ) -> Result<Result<Changed, Refusal>, Status> {
        let audience: Option<Audience> = match actor {
            Some(user) => self.audiences.of(command.match_id(), user).await?,
            None => self.audiences.all(command.match_id()).await?,
        };
        match audience {
            Some(audience) => self.commit(command, audience).await,
            None => Ok(Err(Refusal::NoMatch)),
        }
    }
}

fn members(audience: &Audience) -> Vec<Member> {
    let members = audience.tenures();
    members.map(|(user, of)| Member { user_id: user.to_string(), role: of.role.into() }).collect()
}

/// Different users, one of them an owner, in the order that was given.
fn new_group(id: String, Group { title, members }: Group) -> Result<NewGroup, Status> {
    let members = members.into_iter().map(|of| Ok((user_id(of.user_id.clone())?, role(of.role())?)));
    let members = members.collect::<Result<Vec<_>, Status>>()?;
    let different: BTreeSet<&UserId> = members.iter().map(|(user, _)| user).collect();
    if different.len() < members.len() || members.len() < MIN_MEMBERS {
        return Err(Status::invalid_argument("the members of a group are at least two different users"));
    }
    if !members.iter().any(|(_, role)| *role == Role::Owner) {
        return Err(Status::invalid_argument("a group has an owner"));
    }
    if title.as_deref().is_some_and(|title| !is_title(title)) {
        return Err(Status::invalid_argument("the title is malformed"));
    }
    Ok(NewGroup { id: match_id(id)?, title, members })
}

fn is_title(text: &str) -> bool {
    (1..=MAX_TITLE_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn patch(request: PatchMembersRequest, max_members: usize) -> Result<PatchMembers, Status> {
    let PatchMembersRequest { match_id: id, add, remove, roles, expected_rev, actor } = request;
    let count = add.len() + remove.len() + roles.len();
    let addition = |Addition { user_id: user, role: given, with_history }: Addition| {
        let given = role(Role::try_from(given).unwrap_or_default())?;
        Ok((user_id(user)?, command::Addition { role: given, with_history }))
    };
    let add = add.into_iter().map(addition).collect::<Result<BTreeMap<_, _>, Status>>()?;
    let remove = remove.into_iter().map(user_id).collect::<Result<BTreeSet<_>, _>>()?;
    let roles = roles.into_iter().map(|of| Ok((user_id(of.user_id.clone())?, role(of.role())?)));
    let roles = roles.collect::<Result<BTreeMap<_, _>, Status>>()?;
    let named: BTreeSet<&UserId> = add.keys().chain(&remove).chain(roles.keys()).collect();
    if count > MAX_NAMED || named.len() < count {
        return Err(Status::invalid_argument(format!("at most {MAX_NAMED} users, each named once")));
    }
    let (match_id, actor) = (match_id(id)?, actor.map(user_id).transpose()?);
    Ok(PatchMembers { match_id, add, remove, roles, actor, expected_rev, max_members })
}

fn role(given: Role) -> Result<Role, Status> {
    if given == Role::Unspecified { Err(Status::invalid_argument("a member of a group has a role")) } else { Ok(given) }
}
