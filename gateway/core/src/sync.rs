//! `sync`: what has changed in all of a user's matches since the last one, in one answer.

use std::{borrow::Cow, collections::HashMap};

use proto::{
    MatchId,
    chat::{KnownMatch, SyncRequest},
};
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    output::Ask,
    reply::Reply,
    socket_state::SocketState,
    step::{Limited, Limits, Step},
    synced::Synced,
};

/// Most matches that are known.
const MAX_KNOWN: usize = 500;
/// Most messages of a match, and how many there are without a wish.
const MAX_MESSAGES: i32 = 50;
const USUAL_MESSAGES: i32 = 20;
/// Most matches of an answer, and how many there are without a wish.
const MAX_LIMIT: i32 = 200;
const USUAL_LIMIT: i32 = 50;
/// What a client asks for. Without an object everything is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wish<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    /// Seq and rev by match.
    #[serde(borrow)]
    known: Option<HashMap<Cow<'a, str>, [i64; 2]>>,
    messages: Option<i32>,
    limit: Option<i32>,
}

impl Wish<'_> {
    /// The request, but for whose it is.
    ///
    /// # Errors
    /// `INVALID_PAYLOAD` for what is out of bounds.
    pub fn request(self) -> Result<SyncRequest, Failure> {
        let Self { token, known, messages, limit } = self;
        let (messages, limit) = (messages.unwrap_or(USUAL_MESSAGES), limit.unwrap_or(USUAL_LIMIT));
        let known = known.unwrap_or_default();
        if !(0..=MAX_MESSAGES).contains(&messages) || !(1..=MAX_LIMIT).contains(&limit) || known.len() > MAX_KNOWN {
            return Err(Failure::invalid());
        }
        let known = known.into_iter().map(known_match).collect::<Result<_, _>>()?;
        let token = token.map(Cow::into_owned);
        Ok(SyncRequest { token, known, messages, limit, ..SyncRequest::default() })
    }
}

fn known_match((id, [seq, rev]): (Cow<'_, str>, [i64; 2])) -> Result<KnownMatch, Failure> {
    let match_id = MatchId::new(id).map_err(|_| Failure::invalid())?.into();
    if seq < 0 || rev < 0 { Err(Failure::invalid()) } else { Ok(KnownMatch { match_id, seq, rev }) }
}

/// Takes a `sync`; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) {
    let allowed = |request| {
        let taken = step.limits.take(Limited::Join, step.user, step.at.now);
        taken.map(|()| request).map_err(Failure::rate_limited)
    };
    match read(event).and_then(allowed) {
        Ok(request) => step.ask(Ask::Sync(socket.id, reply, request)),
        Err(failure) => step.fail(socket.id, &reply, &failure),
    }
}

fn read(event: &ClientEvent<'_>) -> Result<SyncRequest, Failure> {
    if event.arguments[0].is_none() {
        Wish::default().request()
    } else {
        arguments::argument::<Wish<'_>>(event)?.request()
    }
}

/// Tells what has changed.
pub(crate) fn end<L: Limits>(
    socket: &SocketState<L::Ticket>,
    reply: &Reply,
    synced: Result<Synced, Failure>,
    step: &mut Step<'_, L>,
) {
    match synced {
        Ok(synced) => {
            let ack = synced.json(step.settings.fields, Some(true));
            step.limits.has_read(step.user, ack.len(), step.at.now);
            step.ok(socket.id, reply, ack);
        }
        Err(failure) => step.fail(socket.id, reply, &failure),
    }
}

#[cfg(test)]
mod tests;
