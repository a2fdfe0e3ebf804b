//! Who may change the members of a group, and to what.

use super::*;
use crate::{room::Head, tenure::Tenure};

const GROUP: [(&str, Role); 4] =
    [("owen", Role::Owner), ("amy", Role::Admin), ("abe", Role::Admin), ("mia", Role::Member)];

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn room_of(members: &[(&str, Role)], closed: bool) -> Room {
    let members = members.iter().enumerate();
    let members = members.map(|(n, (name, role))| (user(name), Tenure::founding(*role, n))).collect();
    let head = Head { last_seq: 7, rev: 4, closed, now_ms: 1_000, members_rev: 0 };
    Room::new(MatchId::new("g").unwrap(), head, Audience::group(members, 0))
}

fn room() -> Room {
    room_of(&GROUP, false)
}

fn patch(actor: Option<&str>) -> PatchMembers {
    PatchMembers {
        match_id: MatchId::new("g").unwrap(),
        add: BTreeMap::new(),
        remove: BTreeSet::new(),
        roles: BTreeMap::new(),
        actor: actor.map(user),
        expected_rev: None,
        max_members: 6,
    }
}

impl PatchMembers {
    fn adds(mut self, name: &str, role: Role) -> Self {
        self.add.insert(user(name), Addition { role, with_history: false });
        self
    }

    fn removes(mut self, name: &str) -> Self {
        self.remove.insert(user(name));
        self
    }

    fn gives(mut self, name: &str, role: Role) -> Self {
        self.roles.insert(user(name), role);
        self
    }

    fn by(self, room: &mut Room) -> Result<Membership, Refusal> {
        let changed = self.decide(room).into_change()?;
        assert!(changed.is_new);
        match changed.change.kind {
            Some(Kind::Membership(membership)) => Ok(membership),
            other => panic!("{other:?}"),
        }
    }
}

fn knows(room: &mut Room, by: &str, name: &str) -> Invitation {
    let known = Invitation { by: user(by), user: user(name), is_known: true, is_blocked: false, made: 0 };
    room.remember_invitation(known.clone());
    known
}

fn refused(code: Code) -> Result<Membership, Refusal> {
    Err(code.into())
}

#[test]
fn only_what_is_not_so_already_is_changed_and_a_repeat_changes_nothing() {
    let mut room = room();
    let asked = || patch(None).adds("zoe", Role::Member).adds("mia", Role::Admin).removes("abe").removes("nobody");
    let made = asked().gives("amy", Role::Owner).by(&mut room).unwrap();
    let member = |name: &str, role: Role| Member { user_id: name.into(), role: role.into() };
    assert_eq!((made.added, made.removed), (vec!["zoe".to_owned()], vec!["abe".to_owned()]));
    assert_eq!(made.roles, [member("amy", Role::Owner), member("zoe", Role::Member)]);
    assert_eq!(made.without_history, ["zoe"]);
    let zoe = *room.audience().tenure(&user("zoe")).unwrap();
    assert_eq!((zoe.from_seq, zoe.from_rev), (7, 5));
    assert_eq!(room.audience().tenure(&user("mia")).unwrap().role, Role::Member, "who is one stays as it is");
    let again = asked().gives("amy", Role::Owner).decide(&mut room).into_change().unwrap();
    assert_eq!((again.change.rev, again.is_new), (5, false));
}

#[test]
fn members_and_strangers_change_nothing_and_an_admin_nothing_of_owners() {
    for (actor, code) in [("mia", Code::Forbidden), ("mallory", Code::MatchNotFound)] {
        assert_eq!(patch(Some(actor)).removes("abe").by(&mut room()), refused(code));
        assert_eq!(patch(Some(actor)).by(&mut room()), refused(code), "not even nothing");
    }
    for asked in [
        patch(Some("amy")).removes("owen"),
        patch(Some("amy")).gives("owen", Role::Member),
        patch(Some("amy")).gives("mia", Role::Owner),
        patch(Some("amy")).adds("zoe", Role::Owner),
    ] {
        let mut room = room();
        knows(&mut room, "amy", "zoe");
        assert_eq!(asked.by(&mut room), refused(Code::Forbidden));
    }
    assert_eq!(patch(Some("amy")).removes("abe").by(&mut room()).unwrap().removed, ["abe"]);
    assert_eq!(patch(Some("owen")).gives("abe", Role::Owner).by(&mut room()).unwrap().roles.len(), 1);
}

#[test]
fn users_add_only_whom_they_know_past_no_block_and_so_many_a_day() {
    let add = |actor: &str| patch(Some(actor)).adds("zoe", Role::Member);
    assert_eq!(add("amy").by(&mut room()), refused(Code::Forbidden), "nothing is known of the two");
    let with = |change: fn(&mut Invitation)| {
        let mut room = room();
        let mut known = Invitation { by: user("amy"), user: user("zoe"), is_known: true, is_blocked: false, made: 19 };
        change(&mut known);
        room.remember_invitation(known);
        add("amy").by(&mut room)
    };
    assert!(with(|_| {}).is_ok());
    assert_eq!(with(|known| known.is_known = false), refused(Code::Forbidden));
    assert_eq!(with(|known| known.is_blocked = true), refused(Code::Forbidden));
    assert_eq!(with(|known| known.made = 20), refused(Code::RateLimited));
    let many = (0..21).fold(patch(Some("amy")), |asked, n| asked.adds(&format!("u{n}"), Role::Member));
    assert_eq!(many.by(&mut room()), refused(Code::RateLimited));
}

#[test]
fn a_group_is_never_too_large_without_members_or_without_an_owner() {
    let full = patch(None).adds("x", Role::Member).adds("y", Role::Member).adds("z", Role::Member);
    assert_eq!(full.clone().by(&mut room()), refused(Code::GroupFull));
    assert!(full.removes("mia").by(&mut room()).is_ok());
    let nobody = GROUP.iter().fold(patch(None), |asked, (name, _)| asked.removes(name));
    assert_eq!(nobody.by(&mut room()), refused(Code::InvalidPayload));
    assert_eq!(patch(None).gives("owen", Role::Member).by(&mut room()), refused(Code::InvalidPayload));
    assert_eq!(patch(None).gives("nobody", Role::Admin).by(&mut room()), refused(Code::InvalidPayload));
    let made = patch(None).removes("owen").by(&mut room()).unwrap();
    assert_eq!(made.roles, [Member { user_id: "amy".into(), role: Role::Owner.into() }], "the longest-standing admin");
    let crowd: Vec<_> = GROUP.into_iter().chain(["b", "c", "d", "e"].map(|name| (name, Role::Member))).collect();
    let mut over = room_of(&crowd, false);
    assert!(patch(None).removes("b").by(&mut over).is_ok(), "it may shrink, whatever the limit is now");
}

#[test]
fn other_matches_closed_groups_and_what_the_caller_does_not_know_are_refused() {
    let stale = PatchMembers { expected_rev: Some(3), ..patch(None).removes("mia") };
    assert_eq!(stale.clone().by(&mut room()), refused(Code::RevConflict));
    assert!(PatchMembers { expected_rev: Some(0), ..stale }.by(&mut room()).is_ok());
    assert_eq!(patch(None).removes("mia").by(&mut room_of(&GROUP, true)), refused(Code::MatchClosed));
    let head = Head { last_seq: 7, rev: 4, closed: false, now_ms: 1_000, members_rev: 0 };
    let pair = || {
        let both = Audience::new(vec![user("alice"), user("bob")], 0);
        Room::new(MatchId::new("g").unwrap(), head.clone(), both)
    };
    assert_eq!(patch(None).removes("bob").by(&mut pair()), refused(Code::IdempotencyConflict));
    assert_eq!(patch(Some("alice")).removes("bob").by(&mut pair()), refused(Code::Forbidden));
    assert_eq!(patch(Some("mallory")).removes("bob").by(&mut pair()), refused(Code::MatchNotFound));
}
