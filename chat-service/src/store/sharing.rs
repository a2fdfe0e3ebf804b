//! What users show and see of each other in their matches besides what is stored there, and when they were seen last.

use proto::{
    UserId,
    chat::{LastSeen, Presence, Sharing},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, blocks::are_not_blocked};

/// Whether the user `$2` does not share typing.
const HIDES_TYPING: &str = "EXISTS (SELECT FROM settings g WHERE g.user_id = $2 AND NOT g.typing)";

/// Whether the user in this expression shares its presence.
fn shares_presence(user: &str) -> String {
    format!("NOT EXISTS (SELECT FROM settings g WHERE g.user_id = {user} AND NOT g.presence)")
}

/// The other members of the match in this expression of whom one of the two has blocked the other.
pub(super) fn apart(id: &str, user: &str) -> String {
    let are_apart = are_not_blocked(user, "a.user_id");
    format!(
        "ARRAY (SELECT a.user_id FROM members a
                WHERE a.match_id = {id} AND a.user_id <> {user} AND NOT ({are_apart}) ORDER BY a.user_id)"
    )
}

/// What a user shows and sees, with parameters (matches, user). Of a match that is not the user's own nothing is read.
///
/// The conditions of a presence are columns, so that each is looked up whatever the others say: who is private and who
/// is blocked take the same time.
pub(super) fn select_sharing() -> String {
    let (mine, theirs) = (shares_presence("$2"), shares_presence("p.other"));
    let (apart, near) = (apart("o.match_id", "$2"), are_not_blocked("$2", "p.other"));
    format!(
        "SELECT o.match_id, {HIDES_TYPING}, {apart}, p.other,
                m.closed_at IS NULL, {mine}, {theirs}, {near},
                (SELECT CASE WHEN l.at > clock_timestamp() - interval '24 hours' THEN 2
                             WHEN l.at > clock_timestamp() - interval '168 hours' THEN 1 ELSE 0 END
                 FROM last_seen l WHERE l.user_id = p.other)
         FROM user_matches o JOIN matches m USING (match_id)
         CROSS JOIN LATERAL (
             SELECT CASE WHEN count(*) = 2 THEN min(c.user_id) FILTER (WHERE c.user_id <> $2) END AS other
             FROM (SELECT user_id FROM members u WHERE u.match_id = o.match_id AND NOT m.is_group LIMIT 3) c
         ) p
         WHERE o.user_id = $2 AND o.match_id = ANY ($1)"
    )
}

/// Of each user at most one row is written in five minutes.
const NOTE_SEEN: &str = "INSERT INTO last_seen AS l (user_id, at)
     SELECT DISTINCT k.u, now() FROM unnest($1::text[]) AS k (u)
     WHERE NOT EXISTS (
         SELECT FROM last_seen s WHERE s.user_id = k.u AND s.at > clock_timestamp() - interval '5 minutes')
     ORDER BY 1
     ON CONFLICT (user_id) DO UPDATE SET at = greatest(l.at, excluded.at)";

impl Store {
    /// What a user shows and sees in these matches; those of others are left out.
    pub(crate) async fn sharing(&self, user: &UserId, ids: &[&str]) -> Result<Vec<Sharing>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&select_sharing()).await?;
        let rows = client.query(&statement, &[&ids, &user.as_str()]).await?;
        Ok(rows.iter().map(of_row).collect::<Result<_, _>>()?)
    }

    /// Notes that these users are here now.
    pub(crate) async fn note_seen(&self, users: &[UserId]) -> Result<(), StoreError> {
        let client = self.client().await?;
        let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
        client.execute(&client.prepare_cached(NOTE_SEEN).await?, &[&users]).await?;
        Ok(())
    }
}

/// From a row of [`select_sharing`].
pub(super) fn of_row(row: &Row) -> Result<Sharing, Error> {
    let mut is_shown = true;
    for condition in 4..8 {
        is_shown &= row.try_get::<_, bool>(condition)?;
    }
    let other: Option<String> = row.try_get(3)?;
    let last_seen = row.try_get::<_, Option<i32>>(8)?.unwrap_or(LastSeen::Earlier.into());
    let presence = other.filter(|_| is_shown).map(|user_id| Presence { user_id, last_seen });
    Ok(Sharing { match_id: row.try_get(0)?, hides_typing: row.try_get(1)?, apart: row.try_get(2)?, presence })
}
