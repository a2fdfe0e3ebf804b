//! `send_message`: messages are asked to be stored, and answered when that is known.

use std::{sync::Arc, time::Instant};

use proto::{
    MatchId,
    chat::{self, SendRequest, SendResult, Stored, send_result},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service_kit::clock;
use tracing::{Span, info_span};

use super::{
    Context, Socket, commands,
    order::{self, Command},
    reply::Reply,
};
use crate::{
    egress::{Admitted, is_refused_of_sender, outcome_of},
    failure::Failure,
    metrics, moment,
    payload::{self, Content},
    socketio::Args,
    views,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    match_id: String,
    message: Box<RawValue>,
    client_id: Option<String>,
}

/// A message that waits to be stored.
#[derive(Debug)]
pub(crate) struct Draft {
    content: chat::Draft,
    reply: Reply,
    span: Span,
    taken_at: Instant,
    admitted: Admitted,
}

impl Draft {
    /// Bytes of its body.
    pub(super) fn bytes(&self) -> usize {
        self.content.body.len()
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn into_reply(self) -> Reply {
        self.reply
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    ok: bool,
    id: String,
    seq: i64,
    created_at: String,
    client_id: &'a str,
    duplicate: bool,
}

/// Handles a `send_message`.
pub(super) fn send(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    let now = Instant::now();
    // Before anything is read: who is refused costs little.
    let admitted = match context.services.admit(now) {
        Ok(admitted) => admitted,
        Err(failure) => return reply.push_back(&failure.spread(fastrand::u64(..))),
    };
    let (chat, draft) = match read(args) {
        Ok(read) => read,
        Err(failure) => return reply.fail(&failure),
    };
    if let Err(wait) = context.limits.sends.take(socket.user_id().as_str(), now) {
        return reply.fail(&Failure::rate_limited(wait));
    }
    let span = info_span!("send_message", match_id = %chat, user_id = %socket.user_id());
    let draft = Draft { content: draft, reply, span, taken_at: now, admitted };
    order::take(context, socket, chat, Command::Send(draft));
}

fn read(args: Args<'_>) -> Result<(MatchId, chat::Draft), Failure> {
    let command: SendMessage = commands::argument(args)?;
    let chat = commands::match_id(command.match_id)?;
    let content = Content::parse(command.message.get())?;
    let client_id = payload::client_id(command.client_id.as_deref(), moment::now())?;
    let saved_as = content.saved_as(&chat).map(str::to_owned);
    let draft = chat::Draft { client_id: client_id.as_str().to_owned(), body: content.body, saved_as };
    Ok((chat, draft))
}

/// Asks for messages to one match to be stored, and answers them.
pub(super) async fn send_batch(context: &Context, socket: &Socket, chat: &MatchId, mut batch: Vec<Draft>) {
    let request = SendRequest {
        match_id: chat.as_str().to_owned(),
        sender_id: socket.user_id().as_str().to_owned(),
        origin: Some(socket.origin),
        by_rest: false,
        drafts: batch.iter_mut().map(|draft| std::mem::take(&mut draft.content)).collect(),
        deadline_ms: 0,
    };
    let reply = context.services.send(chat, request).await;
    // Before the acks, as the next command may come right after them.
    if let (Some(joined), Some(seq)) = (socket.session().chat(chat), newest_of(&reply.results)) {
        joined.sent = joined.sent.max(seq);
    }
    let mut results = reply.results.into_iter();
    for draft in batch {
        let result = results.next().unwrap_or_default();
        let is_of_sender = is_refused_of_sender(&result);
        let result = outcome_of(result).map_err(|failure| failure.spread(fastrand::u64(..)));
        if !is_of_sender {
            draft.admitted.answered(&result);
        }
        metrics::send_answered(draft.taken_at.elapsed(), outcome_name(&result));
        answer(chat, draft.reply, result);
    }
}

/// The highest seq among what was stored.
fn newest_of(results: &[SendResult]) -> Option<i64> {
    let stored = results.iter().filter_map(|result| match &result.result {
        Some(send_result::Result::Stored(stored)) => Some(stored.seq),
        _ => None,
    });
    stored.max()
}

fn answer(chat: &MatchId, reply: Reply, result: Result<Stored, Failure>) {
    match result {
        Ok(stored) => reply.ok(&views::to_json(&Sent {
            ok: true,
            id: format!("{chat}:{}", stored.seq),
            seq: stored.seq,
            created_at: clock::rfc3339(stored.created_at_ms),
            client_id: &stored.client_id,
            duplicate: stored.duplicate,
        })),
        Err(failure) => reply.fail(&failure),
    }
}

fn outcome_name(result: &Result<Stored, Failure>) -> &'static str {
    match result {
        Ok(stored) if stored.duplicate => "duplicate",
        Ok(_) => "stored",
        Err(failure) => failure.code.as_str(),
    }
}
