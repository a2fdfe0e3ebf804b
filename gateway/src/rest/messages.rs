//! `/matches/{id}/messages`: the history, and saving a message through the same pipeline as a socket's.

use std::time::Instant;

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use proto::{
    MatchId, UserId,
    chat::{Draft, Message, SendRequest, Stored, list_messages_request::Position},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    answers::{json, may_read, read, within},
    api::Api,
    body::JsonBody,
    caller::User,
    params::{Params, TheMatch, page_limit},
    request::{NewMessage, PageQuery},
};
use crate::{
    failure::{Failure, Problem},
    origin::origin_of,
    views::{self, MessageView, raw, to_json},
};

/// Names the caller's socket, which then does not receive the message again.
const SOCKET_ID: &str = "x-socket-id";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    messages: Vec<MessageView<'a>>,
    has_more: bool,
    /// The messages are shown as this rev of the match left them: a change with a higher one is not in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<i64>,
    notes: Vec<&'a RawValue>,
}

/// `GET /matches/{id}/messages?before|after&limit`: a page, ascending; without a position the latest.
pub(super) async fn page(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    Params(query): Params<PageQuery>,
) -> Result<Response, Problem> {
    let (position, limit) = (query.position()?, page_limit(query.limit)?);
    may_read(&api, &user, &api.limits.history)?;
    let page = api.services.list_messages((&id, &user), position, (limit, true)).await?;
    let messages = page.messages.iter().map(|message| MessageView::new(message, api.message_fields)).collect();
    let notes = views::notes(id.as_str(), &page.notes);
    let notes = notes.iter().map(|note| raw(note)).collect();
    Ok(read(&api, &user, to_json(&Page { messages, has_more: page.has_more, rev: page.through_rev, notes })))
}

/// `POST /matches/{id}/messages`: 201, or 200 if it is a repeat. Everybody else's sockets hear of it.
pub(super) async fn post(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new: NewMessage<'_> = body.read()?;
    let (content, client_id) = new.read()?;
    let reply_to = new.reply_to;
    let origin = headers.get(SOCKET_ID).and_then(|socket_id| socket_id.to_str().ok()).map(origin_of);
    within(|now| api.limits.sends.take(user.as_str(), now))?;

    let draft = Draft { client_id: client_id.to_string(), body: content.body, saved_as: None, reply_to };
    let stored = save(&api, (&id, &user), origin, draft.clone()).await?;
    let (status, message) = if stored.duplicate {
        (StatusCode::OK, current(&api, (&id, &user), &stored).await?)
    } else {
        (StatusCode::CREATED, as_stored(&id, user, draft, stored))
    };
    Ok(json(status, views::message(&message, api.message_fields)))
}

/// A message that was stored before, as it is by now; one that the user has hidden without its content.
async fn current(api: &Api, (id, user): (&MatchId, &UserId), stored: &Stored) -> Result<Message, Failure> {
    let position = Some(Position::After(stored.seq - 1));
    let page = api.services.list_messages((id, user), position, (1, false)).await?;
    let found = page.messages.into_iter().find(|message| message.seq == stored.seq);
    Ok(found.unwrap_or_else(|| {
        let deleted = as_stored(id, user.clone(), Draft::default(), stored.clone());
        Message { deleted: true, ..deleted }
    }))
}

async fn save(
    api: &Api,
    (id, user): (&MatchId, &UserId),
    origin: Option<u64>,
    draft: Draft,
) -> Result<Stored, Failure> {
    let admitted = api.services.admit(Instant::now()).map_err(|failure| failure.spread(fastrand::u64(..)))?;
    let request = SendRequest {
        match_id: id.to_string(),
        sender_id: user.to_string(),
        origin,
        by_rest: true,
        drafts: vec![draft],
        deadline_ms: 0,
    };
    let reply = api.services.send(id, request).await;
    admitted.answered(reply.results.into_iter().next().unwrap_or_default())
}

fn as_stored(id: &MatchId, user: UserId, draft: Draft, stored: Stored) -> Message {
    Message {
        match_id: id.to_string(),
        seq: stored.seq,
        sender_id: user.into(),
        client_id: stored.client_id,
        origin: None,
        body: draft.body,
        created_at_ms: stored.created_at_ms,
        reply_to: draft.reply_to,
        ..Message::default()
    }
}
