//! `/matches/{id}/messages/{seq}`: what becomes of a message, the same as a socket's commands do.

use axum::{extract::State, response::Response};
use gateway_core::message_command::MessageCommand;
use http::StatusCode;
use proto::UserId;

use super::{
    answers::{json, within},
    api::Api,
    body::JsonBody,
    caller::User,
    params::{Params, TheMessage, TheReaction},
    request::{DeleteQuery, Edit, ReactionQuery},
};
use crate::failure::Problem;

/// `PATCH /matches/{id}/messages/{seq}`: gives it another content.
pub(super) async fn edit(
    User(user): User,
    State(api): State<Api>,
    message: TheMessage,
    body: JsonBody,
) -> Result<Response, Problem> {
    let command = body.read::<Edit<'_>>()?.command(message.seq)?;
    change(&api, &user, &message, &command).await
}

/// `DELETE /matches/{id}/messages/{seq}?scope`: deletes it for everyone, or with `scope=me` for the caller.
pub(super) async fn delete(
    User(user): User,
    State(api): State<Api>,
    message: TheMessage,
    Params(query): Params<DeleteQuery>,
) -> Result<Response, Problem> {
    change(&api, &user, &message, &query.command(message.seq)?).await
}

/// `PUT /matches/{id}/messages/{seq}/reactions/{emoji}?clientId`: the caller's reaction.
pub(super) async fn react(
    User(user): User,
    State(api): State<Api>,
    TheReaction { message, emoji }: TheReaction,
    Params(query): Params<ReactionQuery>,
) -> Result<Response, Problem> {
    change(&api, &user, &message, &query.command(message.seq, &emoji, true)?).await
}

/// `DELETE …/reactions/{emoji}?clientId`: the caller's reaction no more.
pub(super) async fn unreact(
    User(user): User,
    State(api): State<Api>,
    TheReaction { message, emoji }: TheReaction,
    Params(query): Params<ReactionQuery>,
) -> Result<Response, Problem> {
    change(&api, &user, &message, &query.command(message.seq, &emoji, false)?).await
}

async fn change(
    api: &Api,
    user: &UserId,
    TheMessage { chat, seq }: &TheMessage,
    command: &MessageCommand,
) -> Result<Response, Problem> {
    within(|now| api.limits.sends.take(user.as_str(), now))?;
    let done = api.services.change_message((chat, user), command).await?;
    Ok(json(StatusCode::OK, done.json(chat, *seq)))
}
