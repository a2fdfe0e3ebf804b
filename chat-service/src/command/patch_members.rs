//! Changes the members of a group and their roles: by the app server, or by an owner or an admin.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    MatchId, UserId,
    chat::{Code, Member, Membership, Role, change::Kind},
};

use super::{Command, Wanted, change_members::standing};
use crate::{
    audience::Audience,
    invitation::Invitation,
    may::Action,
    outcome::{Changed, Outcome, Refusal},
    owners::{has_owner, keep_owner},
    room::Room,
};

/// How many users one user may add in a day.
const INVITATIONS_A_DAY: usize = 20;

/// Adds members, removes members and gives roles, by one change. Messages and changes behind it go to the new members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMembers {
    /// The match.
    pub match_id: MatchId,
    /// Users who are to be members. Who is one already is left as it is.
    pub add: BTreeMap<UserId, Addition>,
    /// Users who are not to be members. Nobody is named twice.
    pub remove: BTreeSet<UserId>,
    /// Members who are to have another role.
    pub roles: BTreeMap<UserId, Role>,
    /// The member who asks for it; `None`: the app server.
    pub actor: Option<UserId>,
    /// The rev of the last change of the members that the caller knows of; `None`: whatever they are.
    pub expected_rev: Option<i64>,
    /// Most members of a group.
    pub max_members: usize,
}

/// As what somebody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition {
    /// With which role.
    pub role: Role,
    /// Whether the user sees what was before.
    pub with_history: bool,
}

/// What is not so already.
struct Difference<'a> {
    added: Vec<(&'a UserId, Addition)>,
    removed: Vec<&'a UserId>,
    roles: Vec<(&'a UserId, Role)>,
}

impl Command for PatchMembers {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        let id = self.match_id.as_str();
        wanted.memberships.insert(id);
        if let Some(actor) = self.actor.as_ref().filter(|_| self.add.len() <= INVITATIONS_A_DAY) {
            wanted.invitations.extend(self.add.keys().map(|user| (id, actor.as_str(), user.as_str())));
        }
    }

    fn decide(&self, room: &mut Room) -> Outcome {
        Outcome::Changed(self.change(room))
    }
}

impl PatchMembers {
    /// A repeat is told from the members *before* anything refuses it: its first try has changed them.
    fn change(&self, room: &mut Room) -> Result<Changed, Refusal> {
        match &self.actor {
            Some(user) => room.may(user, Action::ManageMembers)?,
            None if !room.audience().is_group() => return Err(Code::IdempotencyConflict.into()),
            None => {}
        }
        let difference = self.difference(room.audience())?;
        if difference.is_empty() {
            return Ok(Changed { change: standing(room), is_new: false });
        }
        if room.head().closed {
            return Err(Code::MatchClosed.into());
        }
        if self.expected_rev.is_some_and(|rev| rev != room.head().members_rev) {
            return Err(Code::RevConflict.into());
        }
        if let Some(actor) = &self.actor {
            if self.add.len() > INVITATIONS_A_DAY {
                return Err(Code::RateLimited.into());
            }
            difference.check_rank(actor, room.audience())?;
            difference.check_invitations(actor, room)?;
        }
        let membership = self.membership(&difference, room)?;
        let change = room.add_change(room.head().now_ms, |_, _| Kind::Membership(membership));
        Ok(Changed { change, is_new: true })
    }

    fn difference(&self, audience: &Audience) -> Result<Difference<'_>, Refusal> {
        let is_stranger = |user: &&UserId| !audience.has(user);
        if self.roles.keys().any(|user| is_stranger(&user)) {
            return Err(Code::InvalidPayload.into());
        }
        let added = self.add.iter().filter(|(user, _)| is_stranger(user)).map(|(user, of)| (user, *of));
        let removed = self.remove.iter().filter(|user| !is_stranger(user));
        let is_other = |user: &UserId, role: Role| audience.tenure(user).is_some_and(|of| of.role != role);
        let roles = self.roles.iter().map(|(user, role)| (user, *role)).filter(|(user, role)| is_other(user, *role));
        Ok(Difference { added: added.collect(), removed: removed.collect(), roles: roles.collect() })
    }

    /// The change, if its members can be those of a group.
    fn membership(&self, difference: &Difference<'_>, room: &Room) -> Result<Membership, Refusal> {
        let (audience, at) = (room.audience(), (room.head().rev + 1, room.head().last_seq));
        let mut membership = difference.membership(self.actor.as_ref());
        let count = audience.changed_by(&membership, at).members().len();
        if count == 0 {
            return Err(Code::InvalidPayload.into());
        }
        if count > self.max_members && !difference.added.is_empty() {
            return Err(Code::GroupFull.into());
        }
        let is_demoted = difference.roles.iter().any(|(user, _)| is_owner(audience, user));
        if is_demoted && !has_owner(&audience.changed_by(&membership, at)) {
            return Err(Code::InvalidPayload.into());
        }
        keep_owner(audience, &mut membership, at);
        Ok(membership)
    }
}

impl Difference<'_> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.roles.is_empty()
    }

    /// Only an owner makes owners, and does anything to one.
    fn check_rank(&self, actor: &UserId, audience: &Audience) -> Result<(), Refusal> {
        let given = self.added.iter().map(|(_, of)| of.role).chain(self.roles.iter().map(|(_, role)| *role));
        let mut concerned = self.removed.iter().copied().chain(self.roles.iter().map(|(user, _)| *user));
        let touches_owners =
            given.clone().any(|role| role == Role::Owner) || concerned.any(|user| is_owner(audience, user));
        if touches_owners && !is_owner(audience, actor) { Err(Code::Forbidden.into()) } else { Ok(()) }
    }

    /// A user adds only those with whom it shares an open pair, and nobody past a block: neither of a member, nor of
    /// somebody who is added along.
    fn check_invitations(&self, actor: &UserId, room: &Room) -> Result<(), Refusal> {
        let found = |user| room.invitation(actor, user);
        let is_fine = |invitation: &Invitation| invitation.is_known && !invitation.is_blocked;
        if !self.added.iter().all(|(user, _)| found(user).is_some_and(is_fine)) {
            return Err(Code::Forbidden.into());
        }
        let made = self.added.first().and_then(|(user, _)| found(user)).map_or(0, |invitation| invitation.made);
        let count = self.added.len() + usize::try_from(made).unwrap_or(0);
        let is_too_much = !self.added.is_empty() && count > INVITATIONS_A_DAY;
        if is_too_much { Err(Code::RateLimited.into()) } else { Ok(()) }
    }

    fn membership(&self, actor: Option<&UserId>) -> Membership {
        let given = self.added.iter().map(|(user, of)| (*user, of.role)).chain(self.roles.iter().copied());
        let mut roles: Vec<Member> =
            given.map(|(user, role)| Member { user_id: user.to_string(), role: role.into() }).collect();
        roles.sort_by(|one, other| one.user_id.cmp(&other.user_id));
        let without = self.added.iter().filter(|(_, of)| !of.with_history);
        Membership {
            added: self.added.iter().map(|(user, _)| user.to_string()).collect(),
            removed: self.removed.iter().map(ToString::to_string).collect(),
            actor: actor.map(ToString::to_string),
            roles,
            in_group: true,
            without_history: without.map(|(user, _)| user.to_string()).collect(),
        }
    }
}

fn is_owner(audience: &Audience, user: &UserId) -> bool {
    audience.tenure(user).is_some_and(|of| of.role == Role::Owner)
}

#[cfg(test)]
mod tests;
