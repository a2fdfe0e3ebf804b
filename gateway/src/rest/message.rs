//! `/matches/{id}/messages/{seq}`: what becomes of a message, the same as a socket's commands do.

use std::borrow::Cow;

use axum::{extract::State, response::Response};
use gateway_core::{
    delete_message::Scope,
    message_command::{MessageAct, MessageCommand},
    react,
};
use http::StatusCode;
use proto::UserId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answers::{json, within},
    api::Api,
    body::JsonBody,
    caller::User,
    params::{Params, TheMessage, TheReaction},
};
use crate::{
    failure::{Failure, Problem},
    payload::Content,
};

/// Another content for a message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edit<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

impl Edit<'_> {
    /// The command to the message with this seq.
    fn command(&self, seq: i64) -> Result<MessageCommand, Failure> {
        let content = Content::parse(self.message.get())?;
        MessageCommand::new(seq, self.client_id.as_deref(), MessageAct::Edit(content.body))
    }
}

/// For whom a message is to be deleted: for everyone unless the query says otherwise.
#[derive(Debug, Deserialize)]
pub(super) struct DeleteQuery {
    scope: Option<Scope>,
}

impl DeleteQuery {
    /// The command to the message with this seq.
    fn command(&self, seq: i64) -> Result<MessageCommand, Failure> {
        MessageCommand::new(seq, None, self.scope.unwrap_or(Scope::Everyone).act())
    }
}

/// Under which name a reaction is put or taken back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReactionQuery {
    client_id: Option<String>,
}

impl ReactionQuery {
    /// The command to the message with this seq.
    fn command(&self, seq: i64, emoji: &str, on: bool) -> Result<MessageCommand, Failure> {
        let emoji = react::emoji(emoji)?.to_owned();
        MessageCommand::new(seq, self.client_id.as_deref(), MessageAct::React(emoji, on))
    }
}

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
