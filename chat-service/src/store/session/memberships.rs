//! What a lane looks up and stores of the members of matches.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use futures_util::join;
use proto::{
    MatchId, UserId,
    chat::{Membership, change::Kind},
};
use tokio_postgres::{Error, Row, types::ToSql};

use super::Session;
use crate::{
    invitation::Invitation,
    news::Logged,
    tenure::{Arrival, Tenure, role_in},
};

/// What changes make of a user, together.
enum Fate<'a> {
    Gone,
    /// A member, with this tenure if the match is a group.
    Comes(Option<Tenure>),
    /// A member as before, with the role that the last of these changes gives.
    Rises(&'a Membership),
}

/// By match and user.
type Fates<'a> = BTreeMap<(&'a str, &'a str), Fate<'a>>;

impl Session {
    /// What is known of those whom users want to add. One user's are counted by one transaction at a time.
    pub(super) async fn find_invitations(
        &self,
        wanted: &BTreeSet<(&str, &str, &str)>,
    ) -> Result<Vec<(MatchId, Invitation)>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // In a box, as most batches have nothing of it.
        Box::pin(self.find_all_invitations(wanted)).await
    }

    async fn find_all_invitations(
        &self,
        wanted: &BTreeSet<(&str, &str, &str)>,
    ) -> Result<Vec<(MatchId, Invitation)>, Error> {
        let (ids, users): (Vec<&str>, Vec<&str>) = wanted.iter().map(|(id, by, _)| (*id, *by)).unzip();
        let others: Vec<&str> = wanted.iter().map(|(.., other)| *other).collect();
        let (locked, found) =
            join!(async { self.client.execute(&self.statements.lock_inviting, &[&users]).await }, async {
                self.client.query(&self.statements.find_invitations, &[&ids, &users, &others]).await
            },);
        locked?;
        Ok(found?.iter().map(invitation).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Has the members be those that the changes lead to, and notes who has added whom, and who has left.
    pub(super) async fn set_members(&self, changes: &[Logged]) -> Result<(), Error> {
        let fates = fates(changes);
        if fates.is_empty() {
            return Ok(());
        }
        Box::pin(self.store_members(&fates, changes)).await
    }

    async fn store_members(&self, fates: &Fates<'_>, changes: &[Logged]) -> Result<(), Error> {
        let (set, noted, left) =
            join!(self.store_fates(fates), self.note_invitations(changes), self.note_left(changes));
        set.and(noted).and(left)
    }

    async fn store_fates(&self, fates: &Fates<'_>) -> Result<(), Error> {
        let (ids, users): (Vec<&str>, Vec<&str>) = fates.keys().copied().unzip();
        let is_member: Vec<bool> = fates.values().map(|fate| !matches!(fate, Fate::Gone)).collect();
        let is_new: Vec<bool> = fates.values().map(|fate| matches!(fate, Fate::Comes(_))).collect();
        let roles: Vec<i16> = fates.iter().map(|((_, user), fate)| role(user, fate)).collect();
        let tenure = |of: fn(&Tenure) -> i64| -> Vec<i64> {
            let comes = |fate: &Fate<'_>| match fate {
                Fate::Comes(Some(tenure)) => of(tenure),
                _ => 0,
            };
            fates.values().map(comes).collect()
        };
        let (places, from_seqs) = (tenure(|of| of.place), tenure(|of| of.from_seq));
        let from_revs = tenure(|of| of.from_rev);
        let columns: [&(dyn ToSql + Sync); 8] =
            [&ids, &users, &is_member, &is_new, &roles, &places, &from_seqs, &from_revs];
        self.client.execute(&self.statements.set_members, &columns).await.map(|_| ())
    }

    async fn note_invitations(&self, changes: &[Logged]) -> Result<(), Error> {
        let made = memberships(changes).flat_map(|(id, rev, of)| {
            let by = of.actor.as_deref().filter(|_| of.in_group);
            by.into_iter().flat_map(move |by| of.added.iter().map(move |user| (id, rev, by, user.as_str())))
        });
        let made: Vec<_> = made.collect();
        if made.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = made.iter().map(|(id, ..)| *id).collect();
        let revs: Vec<i64> = made.iter().map(|(_, rev, ..)| *rev).collect();
        let (by, users): (Vec<&str>, Vec<&str>) = made.iter().map(|(.., by, user)| (*by, *user)).unzip();
        self.client.execute(&self.statements.note_invitations, &[&by, &ids, &revs, &users]).await.map(|_| ())
    }

    async fn note_left(&self, changes: &[Logged]) -> Result<(), Error> {
        let left = memberships(changes).filter_map(|(id, _, of)| {
            let by = of.actor.as_deref().filter(|by| of.in_group && of.removed.iter().any(|gone| gone == by));
            Some((id, by?))
        });
        let (ids, users): (Vec<&str>, Vec<&str>) = left.unzip();
        if ids.is_empty() {
            return Ok(());
        }
        self.client.execute(&self.statements.note_left, &[&users, &ids]).await.map(|_| ())
    }
}

fn memberships(changes: &[Logged]) -> impl Iterator<Item = (&str, i64, &Membership)> {
    changes.iter().filter_map(|Logged { match_id, change }| match &change.kind {
        Some(Kind::Membership(membership)) => Some((match_id.as_str(), change.rev, membership)),
        _ => None,
    })
}

fn fates(changes: &[Logged]) -> Fates<'_> {
    let mut fates: Fates<'_> = BTreeMap::new();
    for Logged { match_id, change } in changes {
        let Some(Kind::Membership(membership)) = &change.kind else { continue };
        let id = match_id.as_str();
        fates.extend(membership.removed.iter().map(|user| ((id, user.as_str()), Fate::Gone)));
        let tenures = Arrival { membership, at: (change.rev, change.after_seq) }.tenures();
        let come = membership.added.iter().zip(tenures);
        fates.extend(
            come.map(|(user, (_, of))| ((id, user.as_str()), Fate::Comes(Some(of).filter(|_| membership.in_group)))),
        );
        for member in &membership.roles {
            match fates.entry((id, member.user_id.as_str())) {
                Entry::Occupied(mut before) => match before.get_mut() {
                    Fate::Comes(Some(tenure)) => tenure.role = member.role(),
                    Fate::Rises(by) => *by = membership,
                    Fate::Gone | Fate::Comes(None) => {}
                },
                Entry::Vacant(free) => drop(free.insert(Fate::Rises(membership))),
            }
        }
    }
    fates
}

fn role(user: &str, fate: &Fate<'_>) -> i16 {
    let role = match fate {
        Fate::Comes(Some(tenure)) => tenure.role.into(),
        Fate::Rises(membership) => role_in(membership, user).map_or(0, i32::from),
        Fate::Gone | Fate::Comes(None) => 0,
    };
    i16::try_from(role).unwrap_or(0)
}

fn invitation(row: &Row) -> Result<Option<(MatchId, Invitation)>, Error> {
    let ids = (MatchId::new(row.try_get::<_, &str>(0)?), UserId::new(row.try_get::<_, &str>(1)?));
    let user = UserId::new(row.try_get::<_, &str>(2)?);
    let (is_known, is_blocked, made) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(match (ids, user) {
        ((Ok(id), Ok(by)), Ok(user)) => Some((id, Invitation { by, user, is_known, is_blocked, made })),
        _ => None,
    })
}
