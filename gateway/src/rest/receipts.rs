//! `/matches/{id}/receipts`: how far the members of a match have read and received.

use axum::{extract::State, response::Response};
use gateway_core::mark_read::ack;
use http::StatusCode;
use proto::Code;
use serde::{Deserialize, Serialize};

use super::{
    answers::{json, may_read, read, within},
    api::Api,
    body::JsonBody,
    caller::User,
    params::TheMatch,
};
use crate::{
    failure::{Failure, Problem},
    views::{ReceiptsView, to_json},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    match_id: &'a str,
    #[serde(flatten)]
    receipts: ReceiptsView<'a>,
}

/// Up to which message the caller has read, or a device of the caller has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    seq: Option<i64>,
    delivered_seq: Option<i64>,
}

impl Marks {
    fn check(&self) -> Result<(), Failure> {
        let mut given = [self.seq, self.delivered_seq].into_iter().flatten().peekable();
        let is_valid = given.peek().is_some() && given.all(|seq| seq >= 0);
        if is_valid { Ok(()) } else { Err(Failure::invalid()) }
    }
}

/// `GET /matches/{id}/receipts`.
pub(super) async fn get(User(user): User, State(api): State<Api>, TheMatch(id): TheMatch) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    let found = api.services.receipts(&user, vec![id.to_string()]).await?;
    let receipts = found.receipts.first().ok_or(Code::MatchNotFound)?;
    Ok(read(&api, &user, to_json(&View { match_id: id.as_str(), receipts: ReceiptsView::new(receipts) })))
}

/// `PUT /matches/{id}/receipts`: as `mark_read`, and for devices that are told by a push.
pub(super) async fn put(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let marks: Marks = body.read()?;
    marks.check()?;
    let Marks { seq, delivered_seq } = marks;
    within(|now| api.limits.reads.take(user.as_str(), now))?;
    let (read, delivered) = (seq.into_iter().collect(), delivered_seq.into_iter().collect());
    let position = api.services.mark((&id, &user), read, delivered).await?;
    if seq.max(delivered_seq).is_some_and(|seq| seq > position.last_seq) {
        return Err(Failure::invalid().into());
    }
    Ok(json(StatusCode::OK, ack(&id, &position)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_a_message_or_none_and_nothing_before_that() {
        let check = |seq, delivered_seq| Marks { seq, delivered_seq }.check();
        for (seq, delivered_seq) in [(Some(0), None), (None, Some(7)), (Some(1), Some(2))] {
            assert_eq!(check(seq, delivered_seq), Ok(()));
        }
        for (seq, delivered_seq) in [(None, None), (Some(-1), None), (None, Some(-1)), (Some(1), Some(-1))] {
            assert_eq!(check(seq, delivered_seq), Err(Failure::invalid()));
        }
    }
}
