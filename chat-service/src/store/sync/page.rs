//! Which matches a sync tells of: those whose rows were written since, newest activity first.

use deadpool_postgres::Transaction;
use proto::MatchId;
use tokio_postgres::Error;

use super::wish::{Found, SyncWish};
use crate::{
    store::{
        messages::one_more_than,
        positions,
        time::{from_ms, to_ms},
    },
    sync_token::{Place, Round, Snapshot},
};

/// That a row was written since the transaction in the second parameter, or that there is none. PostgreSQL counts ages
/// from its newest transaction back, so they compare as the numbers did before they wrapped. A row that is older than
/// what it can count has a negative age: it is told once more.
pub(super) fn is_new(row: &str) -> String {
    format!("age({row}.xmin) <= age($2::text::xid)")
}

/// The statement with parameters (user, transaction, whether everything is asked for, match that counts as changed,
/// time and match behind which the page begins, count). A position of others that moves counts only for who sees it.
/// The order is one of milliseconds, as tokens name no more of a time.
fn statement() -> String {
    let sees = positions::sees("$1", "p.user_id");
    let (of_match, of_position, of_hidden) = (is_new("m"), is_new("p"), is_new("h"));
    let of_departure = is_new("d");
    format!(
        "SELECT match_id, active_at, is_gone FROM (
             SELECT m.match_id, false AS is_gone, date_trunc('milliseconds', coalesce(
                 (SELECT s.created_at FROM messages s WHERE s.match_id = m.match_id AND s.seq = m.last_seq),
                 m.created_at)) AS active_at
             FROM user_matches o JOIN matches m USING (match_id)
             WHERE o.user_id = $1 AND ($2::text IS NULL OR o.match_id = $4 OR {of_match}
                 OR EXISTS (SELECT FROM positions p WHERE p.match_id = o.match_id AND {of_position}
                            AND (p.user_id = $1 OR m.closed_at IS NULL AND {sees}))
                 OR EXISTS (SELECT FROM hidden h WHERE h.match_id = o.match_id AND h.user_id = $1 AND {of_hidden}))
             UNION ALL
             SELECT d.match_id, true, d.at FROM departures d
             WHERE d.user_id = $1 AND NOT $3 AND ($2::text IS NULL OR {of_departure})
               AND NOT EXISTS (SELECT FROM user_matches o WHERE o.user_id = $1 AND o.match_id = d.match_id)
         ) t
         WHERE $5::timestamptz IS NULL OR (active_at, match_id) < ($5, $6)
         ORDER BY active_at DESC, match_id DESC LIMIT $7"
    )
}

/// At most as many matches as were asked for, and whether more follow.
pub(super) async fn of(
    transaction: &Transaction<'_>,
    wish: &SyncWish,
    (round, snapshot): (&Round, Snapshot),
) -> Result<(Vec<Found>, bool), Error> {
    let statement = transaction.prepare_cached(&statement()).await?;
    let since = round.since(snapshot).map(|since| since.to_string());
    let changed = wish.with.as_ref().map(MatchId::as_str);
    let behind = round.behind.as_ref().map(|place| (from_ms(place.active_at_ms), place.match_id.as_str()));
    let (time, id) = behind.unzip();
    let (user, everything, count) = (wish.user.as_str(), round.is_of_everything(), one_more_than(wish.limit));
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&user, &since, &everything, &changed, &time, &id, &count];
    let rows = transaction.query(&statement, &parameters).await?;
    let found = rows.iter().take(wish.limit).map(|row| {
        let place = Place { match_id: row.try_get(0)?, active_at_ms: to_ms(row.try_get(1)?) };
        Ok(Found { place, is_gone: row.try_get(2)? })
    });
    Ok((found.collect::<Result<_, Error>>()?, rows.len() > wish.limit))
}
