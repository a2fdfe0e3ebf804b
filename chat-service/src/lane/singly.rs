//! The drafts of a request one by one, when one of them is what PostgreSQL will never take.

use proto::chat::{Code, SendResult};
use tokio::time::Instant;

use super::transaction;
use crate::{
    batch::{Decision, Request},
    room::{failure, unavailable},
    store::{Session, TripError},
};

/// Commits draft by draft, in their order. What PostgreSQL refuses for good fails alone.
///
/// With the error that ended it before the last draft, if one did; the drafts from there on may be tried again.
pub(super) async fn commit(session: &Session, request: &Request, deadline: Instant) -> (Decision, Option<TripError>) {
    let mut whole = Decision { results: vec![Vec::new()], ..Decision::default() };
    let mut ended = None;
    for draft in &request.drafts {
        let single = Request { drafts: vec![draft.clone()], ..request.clone() };
        match transaction::commit(session, &[&single], true, deadline).await {
            Ok(decision) => add(&mut whole, decision),
            Err(TripError::Broken | TripError::Duplicate) => push(&mut whole, failure(Code::Internal)),
            Err(error) => {
                ended = Some(error);
                break;
            }
        }
    }
    let done = whole.results.first().map_or(0, Vec::len);
    for _ in done..request.drafts.len() {
        push(&mut whole, unavailable());
    }
    (whole, ended)
}

fn add(whole: &mut Decision, part: Decision) {
    for result in part.results.into_iter().flatten() {
        push(whole, result);
    }
    whole.rows.extend(part.rows);
    whole.repeated.extend(part.repeated);
}

fn push(whole: &mut Decision, result: SendResult) {
    if let Some(results) = whole.results.first_mut() {
        results.push(result);
    }
}
