//! What a user may do in a match. It is decided here and nowhere else.
//!
//! [`may`] judges what is known of a match. Statements that read a match on behalf of a user ask the same in SQL, by
//! `may_read`: so a stranger's statement touches nothing of the match, and takes as long as for a match that does not
//! exist.

use proto::{
    UserId,
    chat::{Code, Role},
};

use crate::audience::Audience;

/// What a user wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read it, or hear again what became of a message that was sent.
    Read,
    /// Send something new.
    Send,
    /// Call the other member, or take part in a call.
    Call,
    /// Change the members of a group, or hear again of what has changed them.
    ManageMembers,
    /// End the own membership in a group.
    Leave,
}

/// What decides it of a match.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its members.
    pub audience: &'a Audience,
    /// Closed for good.
    pub closed: bool,
}

/// Whether the user may do it.
///
/// # Errors
/// Why not, as the user is told. Who is no member is told what is told of a match that does not exist.
pub fn may(user: &UserId, action: Action, of: Standing<'_>) -> Result<(), Code> {
    if !of.audience.has(user) {
        return Err(Code::MatchNotFound);
    }
    match action {
        Action::Send | Action::Call if of.closed => Err(Code::MatchClosed),
        Action::Call if of.audience.is_group() || of.audience.members().len() != 2 => Err(Code::CallStateConflict),
        Action::ManageMembers if of.audience.tenure(user).is_none_or(|of| of.role < Role::Admin) => {
            Err(Code::Forbidden)
        }
        Action::Leave if !of.audience.is_group() => Err(Code::Forbidden),
        Action::Read | Action::Send | Action::Call | Action::ManageMembers | Action::Leave => Ok(()),
    }
}

/// A condition of a statement whose first parameter is a match, and whose n-th is the user who reads it, or null for a
/// service. It looks at the user's own matches only.
pub(crate) fn may_read(n: u8) -> String {
    format!("(${n}::text IS NULL OR EXISTS (SELECT FROM user_matches o WHERE o.user_id = ${n} AND o.match_id = $1))")
}

/// The message behind which the user of such a statement sees the match, as an expression in it: 0 for who sees all of
/// it, and for a service.
pub(crate) fn sees_behind(n: u8) -> String {
    format!("coalesce((SELECT o.from_seq FROM user_matches o WHERE o.user_id = ${n} AND o.match_id = $1), 0)")
}

/// The same of changes: the first one that the user sees.
pub(crate) fn sees_changes_from(n: u8) -> String {
    format!("coalesce((SELECT o.from_rev FROM user_matches o WHERE o.user_id = ${n} AND o.match_id = $1), 0)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenure::Tenure;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn each_action_has_its_own_refusals_and_strangers_always_the_same() {
        let pair = Audience::new(vec![user("bob"), user("alice")], 0);
        let group = Audience::new(vec![user("alice"), user("bob"), user("carol")], 4);
        let ruled = |role| {
            let bob = (user("bob"), Tenure::founding(Role::Owner, 0));
            Audience::group(vec![(user("alice"), Tenure::founding(role, 1)), bob], 0)
        };
        let [by_member, by_admin, by_owner] = [Role::Member, Role::Admin, Role::Owner].map(ruled);
        for (audience, closed, action, expected) in [
            (&pair, false, Action::Read, Ok(())),
            (&pair, false, Action::Send, Ok(())),
            (&pair, false, Action::Call, Ok(())),
            (&pair, true, Action::Read, Ok(())),
            (&pair, true, Action::Send, Err(Code::MatchClosed)),
            (&pair, true, Action::Call, Err(Code::MatchClosed)),
            (&group, false, Action::Send, Ok(())),
            (&group, false, Action::Call, Err(Code::CallStateConflict)),
            (&group, true, Action::Call, Err(Code::MatchClosed)),
            (&by_owner, false, Action::Call, Err(Code::CallStateConflict)),
            (&by_member, false, Action::ManageMembers, Err(Code::Forbidden)),
            (&by_admin, true, Action::ManageMembers, Ok(())),
            (&by_owner, false, Action::ManageMembers, Ok(())),
            (&by_member, true, Action::Leave, Ok(())),
            (&pair, false, Action::ManageMembers, Err(Code::Forbidden)),
            (&pair, false, Action::Leave, Err(Code::Forbidden)),
        ] {
            let of = Standing { audience, closed };
            assert_eq!(may(&user("alice"), action, of), expected, "{action:?} {of:?}");
            assert_eq!(may(&user("mallory"), action, of), Err(Code::MatchNotFound), "{action:?} {of:?}");
        }
    }
}
