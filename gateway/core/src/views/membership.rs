//! Changes of a match's members.

use proto::chat::{Change, Member, Membership, Role};
use serde::Serialize;

/// How the members have changed; in a group with the roles that were given. `by` is the member who has done it; `null`:
/// the app server.
#[derive(Debug, Serialize)]
pub(super) struct MembersView<'a> {
    added: &'a [String],
    removed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<MemberView<'a>>>,
    by: Option<&'a str>,
}

/// `{userId, role}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView<'a> {
    user_id: &'a str,
    role: &'static str,
}

/// `membership_changed`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipChangedView<'a> {
    match_id: &'a str,
    rev: i64,
    after_seq: i64,
    #[serde(flatten)]
    members: MembersView<'a>,
}

impl<'a> MembersView<'a> {
    pub(super) fn new(membership: &'a Membership) -> Self {
        let Membership { added, removed, actor, roles, in_group, .. } = membership;
        Self { added, removed, roles: in_group.then(|| MemberView::list(roles)), by: actor.as_deref() }
    }
}

impl<'a> MemberView<'a> {
    /// The list `members` of a group, and `roles` of a change of them.
    pub fn list(members: &'a [Member]) -> Vec<Self> {
        members.iter().map(|member| Self { user_id: &member.user_id, role: role_name(member.role()) }).collect()
    }
}

impl<'a> MembershipChangedView<'a> {
    /// The announcement of a change of the members of a match.
    pub fn new(match_id: &'a str, change: &Change, membership: &'a Membership) -> Self {
        let members = MembersView::new(membership);
        Self { match_id, rev: change.rev, after_seq: change.after_seq, members }
    }
}

/// A role as clients see it. One that only a later version knows is shown as the least.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member | Role::Unspecified => "member",
    }
}
