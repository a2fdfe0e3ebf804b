//! Matches of kind group: made.

use proto::{
    MatchId, UserId,
    chat::{Member, Role},
};

use super::{Put, Store, StoreError, matches};

/// A group that is to be made.
#[derive(Debug)]
pub(crate) struct NewGroup {
    pub(crate) id: MatchId,
    pub(crate) title: Option<String>,
    /// Different users; who comes first counts as the longest member.
    pub(crate) members: Vec<(UserId, Role)>,
}

impl Store {
    /// Makes the group unless it is there. As with [`put_match`](Self::put_match), its row is locked also then.
    pub(crate) async fn put_group(&self, group: &NewGroup) -> Result<Put, StoreError> {
        let NewGroup { id, title, members } = group;
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let insert = "INSERT INTO matches (match_id, created_at, is_group, title)
                      VALUES ($1, date_trunc('milliseconds', clock_timestamp()), true, $2) ON CONFLICT DO NOTHING";
        let created = transaction.execute(insert, &[&id.as_str(), title]).await? == 1;
        if created {
            let users: Vec<&str> = members.iter().map(|(user, _)| user.as_str()).collect();
            let roles: Vec<i32> = members.iter().map(|(_, role)| (*role).into()).collect();
            let insert = "INSERT INTO members (match_id, user_id, role, place)
                          SELECT $1, user_id, role, n - 1
                          FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY AS v (user_id, role, n)";
            transaction.execute(insert, &[&id.as_str(), &users, &roles]).await?;
            let by_user = "INSERT INTO user_matches (match_id, user_id) SELECT $1, unnest($2::text[])";
            transaction.execute(by_user, &[&id.as_str(), &users]).await?;
        }
        let found = matches::locked(&transaction, id).await?;
        transaction.commit().await?;
        let is_same = found.group.as_ref().is_some_and(|of| of.title == *title && of.members == by_id(members));
        Ok(match created {
            true => Put::Created(found),
            false if found.closed_at_ms.is_none() && is_same => Put::Present(found),
            false => Put::Refused,
        })
    }
}

fn by_id(members: &[(UserId, Role)]) -> Vec<Member> {
    let member = |(user, role): &(UserId, Role)| Member { user_id: user.to_string(), role: (*role).into() };
    let mut members: Vec<Member> = members.iter().map(member).collect();
    members.sort_by(|one, other| one.user_id.cmp(&other.user_id));
    members
}
