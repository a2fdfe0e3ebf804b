//! `/matches/{id}/members`: the members of a group. The app server changes them, and so do its owners and admins.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::{
    Code, UserId,
    chat::{Addition, Member, PatchMembersRequest},
};
use serde::{Deserialize, Serialize};

use super::{
    answers::{json, within},
    api::Api,
    body::JsonBody,
    caller::{Anybody, User},
    params::TheMatch,
    request::RoleName,
};
use crate::{
    failure::{Failure, Problem},
    views::{MemberView, to_json},
};

/// The most users whom one change names.
const MAX_NAMED: usize = 500;

/// What is to be changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patch {
    #[serde(default)]
    add: Vec<NewMember>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    roles: Roles,
    expected_rev: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewMember {
    user_id: String,
    role: RoleName,
    #[serde(default)]
    history: History,
}

/// What somebody who comes sees of what was before: nothing, unless it is asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum History {
    #[default]
    None,
    All,
}

/// `[{userId, role}]`, or an object of the roles by user.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Roles {
    List(Vec<WithRole>),
    ByUser(BTreeMap<String, RoleName>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithRole {
    user_id: String,
    role: RoleName,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    rev: i64,
    after_seq: i64,
    members: Vec<MemberView<'a>>,
}

/// `PATCH /matches/{id}/members`: 200, also when nothing had to be done.
pub(super) async fn patch(
    caller: Anybody,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let actor = caller.user();
    let patch = body.read::<Patch>()?.request(id.to_string(), actor.map(ToString::to_string))?;
    if let Some(user) = actor {
        within(|now| api.limits.sends.take(user.as_str(), now))?;
    }
    let members = api.services.patch_members(patch).await?;
    let (rev, after_seq) = (members.rev, members.after_seq);
    let changed = Changed { rev, after_seq, members: MemberView::list(&members.members) };
    Ok(json(StatusCode::OK, to_json(&changed)))
}

/// `DELETE /matches/{id}/members/me`: 204, also for who has left before.
pub(super) async fn leave(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
) -> Result<StatusCode, Problem> {
    within(|now| api.limits.sends.take(user.as_str(), now))?;
    api.services.leave_group(&id, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Default for Roles {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Patch {
    /// Every user is named once.
    fn request(self, match_id: String, actor: Option<String>) -> Result<PatchMembersRequest, Failure> {
        let Self { add, remove, roles, expected_rev } = self;
        let addition = |NewMember { user_id, role, history }| Addition {
            user_id,
            role: role.role().into(),
            with_history: history == History::All,
        };
        let add: Vec<Addition> = add.into_iter().map(addition).collect();
        let roles: Vec<Member> = match roles {
            Roles::List(list) => list.into_iter().map(|of| member(of.user_id, of.role)).collect(),
            Roles::ByUser(roles) => roles.into_iter().map(|(user, role)| member(user, role)).collect(),
        };
        let named = add.iter().map(|of| &of.user_id).chain(&remove).chain(roles.iter().map(|of| &of.user_id));
        let mut named: Vec<&String> = named.collect();
        named.sort_unstable();
        let is_twice = named.windows(2).any(|two| two[0] == two[1]);
        let is_malformed = named.iter().any(|id| UserId::new(id.as_str()).is_err());
        if named.len() > MAX_NAMED || is_twice || is_malformed || expected_rev.is_some_and(|rev| rev < 0) {
            return Err(Code::InvalidPayload.into());
        }
        Ok(PatchMembersRequest { match_id, add, remove, roles, expected_rev, actor })
    }
}

fn member(user_id: String, role: RoleName) -> Member {
    Member { user_id, role: role.role().into() }
}

#[cfg(test)]
mod tests {
    use proto::chat::Role;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<PatchMembersRequest, Failure> {
        let patch: Patch = serde_json::from_value(body).map_err(|_| Failure::invalid())?;
        patch.request("g".into(), None)
    }

    #[test]
    fn who_comes_sees_nothing_of_before_unless_that_is_asked_for() {
        let asked = json!({
            "add": [{ "userId": "a", "role": "admin" }, { "userId": "b", "role": "member", "history": "all" }],
            "remove": ["c"], "roles": [{ "userId": "d", "role": "owner" }], "expectedRev": 3,
        });
        let addition = |user_id: &str, role: Role, with_history| Addition {
            user_id: user_id.into(),
            role: role.into(),
            with_history,
        };
        let request = read(asked).unwrap();
        assert_eq!(request.add, [addition("a", Role::Admin, false), addition("b", Role::Member, true)]);
        assert_eq!((request.remove, request.expected_rev), (vec!["c".to_owned()], Some(3)));
        assert_eq!(request.roles, [Member { user_id: "d".into(), role: Role::Owner.into() }]);
        assert_eq!(read(json!({ "roles": { "d": "owner" } })).unwrap().roles, request.roles);
        assert_eq!(read(json!({})), Ok(PatchMembersRequest { match_id: "g".into(), ..Default::default() }));
    }

    #[test]
    fn a_malformed_change_of_members_is_refused() {
        let many: Vec<String> = (0..501).map(|n| format!("u{n}")).collect();
        for body in [
            json!({ "add": {} }),
            json!({ "add": ["a"] }),
            json!({ "add": [{ "userId": "a" }] }),
            json!({ "add": [{ "userId": "a b", "role": "member" }] }),
            json!({ "add": [{ "userId": "a", "role": "king" }] }),
            json!({ "add": [{ "userId": "a", "role": 1 }] }),
            json!({ "add": [{ "userId": "a", "role": "member", "history": "some" }] }),
            json!({ "add": [{ "userId": "a", "role": "member" }], "remove": ["a"] }),
            json!({ "remove": "a" }),
            json!({ "remove": [7] }),
            json!({ "remove": ["a", "a"] }),
            json!({ "remove": many }),
            json!({ "roles": [["a", "member"], 1] }),
            json!({ "roles": { "a": "king" } }),
            json!({ "roles": null }),
            json!({ "expectedRev": "1" }),
            json!({ "expectedRev": -1 }),
            json!({ "expectedRev": 1.5 }),
        ] {
            assert_eq!(read(body.clone()), Err(Failure::invalid()), "{body}");
        }
    }
}
