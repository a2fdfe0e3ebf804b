//! One attempt to commit a batch: the fast way if it only sends, nothing is stored yet and all matches are open; else
//! under locks. It has no IO of its own: the connection may be one to PostgreSQL or to its model.

use std::{collections::BTreeMap, time::Instant};

use proto::{MatchId, UserId};
use service_kit::mutation::{self, Mutation};
use thiserror::Error;

use crate::{
    audience::Audience,
    batch::{self, Decision, Writes},
    command::{Command, Wanted},
    invitation::Invitation,
    news::Logged,
    room::{Head, Room},
    stored::{Named, Row},
};

/// Why a transaction did not commit, or may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TripError {
    /// There is no connection: nothing was begun.
    #[error("there is no connection")]
    Away,
    /// A row is stored already.
    #[error("a row is stored already")]
    Duplicate,
    /// Somebody else's transaction won: try again.
    #[error("another transaction won")]
    Contended,
    /// A lock was not to be had in time.
    #[error("a lock was not to be had in time")]
    Stalled,
    /// The connection is gone or of no use; whether the transaction committed is unknown.
    #[error("the connection was lost")]
    Lost,
    /// The server cannot take it now, as when its disk is full.
    #[error("the server cannot take it now")]
    Refused,
    /// A row that PostgreSQL will never take.
    #[error("a row violates the schema")]
    Broken,
    /// A deadline passed before the COMMIT. Nothing is stored.
    #[error("a deadline passed")]
    Expired,
}

/// A connection on which one transaction at a time is made, each in two trips. What was begun ends in a COMMIT or a
/// rollback.
pub trait Connection {
    /// Begins a transaction and moves the heads of the open matches; returns where these stood before. A match that is
    /// missing from the answer is closed.
    fn advance(
        &mut self,
        advances: &BTreeMap<MatchId, i64>,
    ) -> impl Future<Output = Result<BTreeMap<MatchId, Head>, TripError>>;

    /// Begins a transaction, locks the matches in their order, and finds what is stored of `wanted`. The number beside
    /// each match is the version of its audience that is known; another one is read.
    fn lock(&mut self, matches: &[(&str, i64)], wanted: &Wanted<'_>)
    -> impl Future<Output = Result<Locked, TripError>>;

    /// Stores the rows and commits. `heads` are to be stored too: where the matches that have moved stand now, unless
    /// [`advance`](Self::advance) has moved them.
    ///
    /// Only `Ok` says that all of it is stored; after [`TripError::Lost`] nobody knows.
    fn write(
        &mut self,
        writes: &Writes,
        heads: &BTreeMap<MatchId, Head>,
    ) -> impl Future<Output = Result<(), TripError>>;

    /// Ends the transaction without a trace.
    fn roll_back(&mut self) -> impl Future<Output = Result<(), TripError>>;

    /// What time it is.
    fn now(&self) -> Instant;
}

/// Matches under lock, and what was found of what was wanted.
#[derive(Debug)]
pub struct Locked {
    /// The rows of the matches that exist.
    pub heads: BTreeMap<MatchId, Head>,
    /// What is stored of what was wanted.
    pub found: Found,
    /// The audiences of which another version is known.
    pub changed: BTreeMap<MatchId, Audience>,
}

/// What is stored of what commands want to see.
#[derive(Debug, Default)]
pub struct Found {
    /// Messages.
    pub rows: Vec<Row>,
    /// Changes.
    pub changes: Vec<Logged>,
    /// Commands that named themselves.
    pub commands: Vec<(MatchId, Named)>,
    /// Who has hidden messages, each by its seq.
    pub hidden: Vec<(MatchId, i64, UserId)>,
    /// Of whom users want to add.
    pub invitations: Vec<(MatchId, Invitation)>,
}

/// What is known of the audiences of a batch's matches: `None` where nothing is.
pub type Known<'a> = BTreeMap<&'a MatchId, Option<&'a Audience>>;

/// The version of an audience of which nothing is known.
const UNKNOWN: i64 = -1;

/// Commits what the commands come to, unless the deadline passes before the COMMIT.
///
/// `locked` skips the fast way, when something is likely to be stored already.
///
/// # Errors
/// When it did not commit, or may not have.
pub async fn commit(
    connection: &mut impl Connection,
    (commands, known): (&[&dyn Command], &Known<'_>),
    locked: bool,
    deadline: Instant,
) -> Result<Decision, TripError> {
    if !locked && let Some(advances) = batch::advances(commands) {
        match commit_fast(connection, (commands, known), &advances, deadline).await {
            // Finding out which matches are concerned costs as many trips as taking all of them the sure way.
            Err(TripError::Duplicate) | Ok(None) => {}
            Ok(Some(decision)) => return Ok(decision),
            Err(error) => return Err(error),
        }
    }
    commit_locked(connection, (commands, known), deadline).await
}

/// `None` when a match is closed, or has other members than is known. Nothing is stored then.
async fn commit_fast(
    connection: &mut impl Connection,
    (commands, known): (&[&dyn Command], &Known<'_>),
    advances: &BTreeMap<MatchId, i64>,
    deadline: Instant,
) -> Result<Option<Decision>, TripError> {
    let heads = connection.advance(advances).await?;
    if heads.len() < advances.len() || !are_up_to_date(known, &heads) {
        connection.roll_back().await?;
        return Ok(None);
    }
    let decision = batch::decide(commands, rooms(known, heads, &BTreeMap::new()));
    check_deadline(connection, deadline).await?;
    match connection.write(&decision.writes, &BTreeMap::new()).await {
        Err(TripError::Lost) if mutation::is_broken(Mutation::AckBeforeCommit) => {}
        outcome => outcome?,
    }
    Ok(Some(decision))
}

/// The answers to repeats too come from a transaction that holds the matches' rows.
async fn commit_locked(
    connection: &mut impl Connection,
    (commands, known): (&[&dyn Command], &Known<'_>),
    deadline: Instant,
) -> Result<Decision, TripError> {
    let version = |id| known.get(id).copied().flatten().map_or(UNKNOWN, Audience::version);
    let matches: Vec<_> = batch::matches(commands).into_iter().map(|id| (id.as_str(), version(id))).collect();
    let locked = connection.lock(&matches, &batch::wanted(commands)).await?;
    let (rooms, mut changed) = found_rooms(known, locked);
    let mut decision = batch::decide(commands, rooms);
    changed.append(&mut decision.changed);
    decision.changed = changed;
    check_deadline(connection, deadline).await?;
    connection.write(&decision.writes, &decision.heads).await?;
    Ok(decision)
}

/// The rooms of locked matches with what was found in them, and the audiences that have changed.
fn found_rooms(known: &Known<'_>, locked: Locked) -> (BTreeMap<MatchId, Room>, BTreeMap<MatchId, Audience>) {
    let Locked { heads, found: Found { rows, changes, commands, hidden, invitations }, changed } = locked;
    let mut rooms = rooms(known, heads, &changed);
    for row in rows {
        if let Some(room) = rooms.get_mut(row.message.match_id.as_str()) {
            room.remember(row);
        }
    }
    for Logged { match_id, change } in changes {
        if let Some(room) = rooms.get_mut(&match_id) {
            room.remember_change(change);
        }
    }
    for (match_id, command) in commands {
        if let Some(room) = rooms.get_mut(&match_id) {
            room.remember_command(command);
        }
    }
    for (match_id, seq, user) in hidden {
        if let Some(room) = rooms.get_mut(&match_id) {
            room.remember_hidden(seq, user);
        }
    }
    for (match_id, invitation) in invitations {
        if let Some(room) = rooms.get_mut(&match_id) {
            room.remember_invitation(invitation);
        }
    }
    (rooms, changed)
}

/// The rooms of the matches, each with its audience as it is now.
fn rooms(
    known: &Known<'_>,
    heads: BTreeMap<MatchId, Head>,
    changed: &BTreeMap<MatchId, Audience>,
) -> BTreeMap<MatchId, Room> {
    let room = |(id, head): (MatchId, Head)| {
        let audience = changed.get(&id).or_else(|| known.get(&id).copied().flatten())?.clone();
        Some((id.clone(), Room::new(id, head, audience)))
    };
    heads.into_iter().filter_map(room).collect()
}

/// Whether the members of the matches are those that are known.
fn are_up_to_date(known: &Known<'_>, heads: &BTreeMap<MatchId, Head>) -> bool {
    let version = |id| known.get(id).copied().flatten().map(Audience::version);
    heads.iter().all(|(id, head)| version(id) == Some(head.members_rev))
}

async fn check_deadline(connection: &mut impl Connection, deadline: Instant) -> Result<(), TripError> {
    if connection.now() < deadline {
        return Ok(());
    }
    connection.roll_back().await?;
    Err(TripError::Expired)
}

#[cfg(test)]
mod tests;
