//! A group has an owner as long as it has members. Pure.

use proto::{
    UserId,
    chat::{Member, Membership, Role},
};

use crate::{audience::Audience, tenure::Tenure};

/// Whether one of them is an owner.
pub fn has_owner(audience: &Audience) -> bool {
    audience.tenures().any(|(_, of)| of.role == Role::Owner)
}

/// Where a change of a group's members leaves no owner, it makes one: the admin who has been a member for longest, and
/// where there is none, the member.
pub fn keep_owner(audience: &Audience, membership: &mut Membership, at: (i64, i64)) {
    let next = audience.changed_by(membership, at);
    if !next.is_group() || has_owner(&next) {
        return;
    }
    let Some(heir) = heir(&next) else { return };
    membership.roles.retain(|member| member.user_id != heir.as_str());
    membership.roles.push(Member { user_id: heir.to_string(), role: Role::Owner.into() });
    membership.roles.sort_by(|one, other| one.user_id.cmp(&other.user_id));
}

fn heir(audience: &Audience) -> Option<UserId> {
    let rank = |of: &Tenure| (of.role < Role::Admin, of.place);
    audience.tenures().min_by_key(|(user, of)| (rank(of), *user)).map(|(user, _)| user.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: &[(&str, Role)]) -> Audience {
        let members = members.iter().enumerate();
        let members = members.map(|(n, (name, role))| (UserId::new(*name).unwrap(), Tenure::founding(*role, n)));
        Audience::group(members.collect(), 0)
    }

    /// Who becomes an owner when this one goes.
    fn made_owner(of: &Audience, gone: &str) -> Vec<String> {
        let mut membership = Membership { removed: vec![gone.into()], ..Membership::default() };
        keep_owner(of, &mut membership, (1, 0));
        assert!(membership.roles.iter().all(|member| member.role() == Role::Owner));
        membership.roles.into_iter().map(|member| member.user_id).collect()
    }

    #[test]
    fn the_longest_standing_admin_follows_the_last_owner_else_the_longest_standing_member() {
        let (owner, admin, member) = (Role::Owner, Role::Admin, Role::Member);
        let with_admins = group(&[("z", owner), ("a", member), ("y", admin), ("b", admin)]);
        assert_eq!(made_owner(&with_admins, "z"), ["y"]);
        assert_eq!(made_owner(&with_admins, "y"), Vec::<String>::new());
        assert_eq!(made_owner(&group(&[("z", owner), ("y", member), ("a", member)]), "z"), ["y"]);
        assert_eq!(made_owner(&group(&[("z", owner), ("y", owner), ("a", admin)]), "z"), Vec::<String>::new());
        assert_eq!(made_owner(&group(&[("z", owner)]), "z"), Vec::<String>::new());
    }
}
