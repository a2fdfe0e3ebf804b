//! One attempt to commit a batch: the fast way if nothing is stored yet and all matches are open, else under locks.

use std::collections::BTreeMap;

use proto::MatchId;
use service_kit::mutation::{self, Mutation};
use tokio::time::Instant;

use crate::{
    batch::{self, Decision, Keys, Request},
    room::{Room, Row},
    store::{Session, TripError},
};

/// Commits what the requests come to, unless the deadline passes before the COMMIT.
///
/// `locked` skips the fast way, when some drafts are likely to be stored already.
pub(super) async fn commit(
    session: &Session,
    requests: &[&Request],
    locked: bool,
    deadline: Instant,
) -> Result<Decision, TripError> {
    if !locked && let Some(advances) = batch::advances(requests) {
        match commit_fast(session, requests, &advances, deadline).await {
            // Finding out which matches are concerned costs as many trips as taking all of them the sure way.
            Err(TripError::Duplicate) | Ok(None) => {}
            Ok(Some(decision)) => return Ok(decision),
            Err(error) => return Err(error),
        }
    }
    commit_locked(session, requests, deadline).await
}

/// `None` when a match is closed. Nothing is stored then.
async fn commit_fast(
    session: &Session,
    requests: &[&Request],
    advances: &BTreeMap<MatchId, i64>,
    deadline: Instant,
) -> Result<Option<Decision>, TripError> {
    let heads = session.advance(advances).await?;
    if heads.len() < advances.len() {
        session.roll_back().await?;
        return Ok(None);
    }
    let rooms = heads.into_iter().map(|(id, head)| (id.clone(), Room::new(id, head))).collect();
    let decision = batch::decide(requests, rooms);
    check_deadline(session, deadline).await?;
    match session.insert(&decision.rows, None).await {
        Err(TripError::Lost) if mutation::is_broken(Mutation::AckBeforeCommit) => {}
        outcome => outcome?,
    }
    Ok(Some(decision))
}

/// The duplicates' answers too come from a transaction that holds the matches' rows.
async fn commit_locked(session: &Session, requests: &[&Request], deadline: Instant) -> Result<Decision, TripError> {
    let ids: Vec<&str> = batch::matches(requests.iter().copied()).into_iter().map(MatchId::as_str).collect();
    let keys = if mutation::is_broken(Mutation::NoDedupe) { Keys::default() } else { batch::keys(requests) };
    let locked = session.lock(&ids, &keys).await?;
    let mut rooms: BTreeMap<MatchId, Room> =
        locked.heads.into_iter().map(|(id, head)| (id.clone(), Room::new(id, head))).collect();
    for row in locked.rows {
        if let Some(room) = rooms.get_mut(row.message.match_id.as_str()) {
            room.remember(row);
        }
    }
    let decision = batch::decide(requests, rooms);
    check_deadline(session, deadline).await?;
    session.insert(&decision.rows, Some(&heads_after(&decision.rows))).await?;
    Ok(decision)
}

async fn check_deadline(session: &Session, deadline: Instant) -> Result<(), TripError> {
    if Instant::now() < deadline {
        return Ok(());
    }
    session.roll_back().await?;
    Err(TripError::Expired)
}

/// The rows of a match come in `seq` order: the last one counts.
fn heads_after(rows: &[Row]) -> BTreeMap<&str, i64> {
    rows.iter().map(|row| (row.message.match_id.as_str(), row.message.seq)).collect()
}
