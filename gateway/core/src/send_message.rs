//! `send_message`: messages are asked to be stored, and answered when that is known.

use std::borrow::Cow;

use proto::{
    MatchId,
    chat::{self, SendReply, SendRequest, SendResult, Stored, send_result},
    rfc3339,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    arguments::{self, ClientEvent},
    command::{Command, Draft},
    failure::Failure,
    lines::Batch,
    moment::Moment,
    outcomes::outcome_of,
    output::{Ask, Output, TurnId},
    payload::{self, Content},
    reply::Reply,
    socket_state::SocketState,
    step::{Limited, Limits, Step},
    views::{self, MessageId},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    reply_to: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    ok: bool,
    id: MessageId<'a>,
    seq: i64,
    created_at: String,
    client_id: &'a str,
    duplicate: bool,
}

/// Reads a `send_message`; one that is refused is answered.
pub(crate) fn read<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) -> Option<(MatchId, Command<L::Ticket>)> {
    // Before anything is read: who is refused costs little, and less together if the client goes on.
    let ticket = match step.limits.admit(step.at.now) {
        Ok(ticket) => ticket,
        Err(failure) => {
            step.out.push(Output::PauseReads(socket.id));
            step.fail(socket.id, &reply, &failure.spread(step.at.chance(0)));
            return None;
        }
    };
    let allowed = |(chat, content)| {
        let taken = step.limits.take(Limited::Send, step.user, step.at.now);
        taken.map(|()| (chat, content)).map_err(Failure::rate_limited)
    };
    match draft(event, step.at).and_then(allowed) {
        Ok((chat, content)) => {
            let draft = Draft { content, reply, ticket: Some(ticket) };
            Some((chat, Command::Send(Box::new(draft))))
        }
        Err(failure) => {
            step.fail(socket.id, &reply, &failure);
            None
        }
    }
}

fn draft(event: &ClientEvent<'_>, at: Moment) -> Result<(MatchId, chat::Draft), Failure> {
    let command: SendMessage<'_> = arguments::argument(event)?;
    let chat = arguments::match_id(command.match_id)?;
    let content = Content::parse(command.message.get())?;
    let client_id = payload::client_id(command.client_id.as_deref(), at)?;
    let saved_as = content.saved_as(&chat).map(str::to_owned);
    if command.reply_to.is_some_and(|seq| seq < 1) {
        return Err(Failure::invalid());
    }
    let draft = chat::Draft { client_id: client_id.into(), body: content.body, saved_as, reply_to: command.reply_to };
    Ok((chat, draft))
}

/// Asks for messages to one match, whose turn it is, to be stored.
pub(crate) fn begin<L: Limits>(
    socket: &SocketState<L::Ticket>,
    turn: TurnId,
    batch: &mut Batch<Command<L::Ticket>>,
    step: &mut Step<'_, L>,
) {
    let (mut drafts, mut tickets) = (Vec::with_capacity(batch.work.len()), Vec::with_capacity(batch.work.len()));
    for command in &mut batch.work {
        let Command::Send(draft) = command else { continue };
        drafts.push(std::mem::take(&mut draft.content));
        tickets.extend(draft.ticket.take());
    }
    let request = SendRequest {
        match_id: batch.chat.as_str().to_owned(),
        sender_id: step.user.as_str().to_owned(),
        origin: Some(socket.origin),
        by_rest: false,
        drafts,
        deadline_ms: 0,
    };
    step.ask(Ask::Send { turn, chat: batch.chat.clone(), request, tickets });
}

/// Answers messages of which it is known what has become of them.
pub(crate) fn end<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    batch: &Batch<Command<L::Ticket>>,
    reply: SendReply,
    step: &mut Step<'_, L>,
) {
    // Before the acks, as the next command may come right after them.
    if let (Some(joined), Some(seq)) = (socket.chats.chat(&batch.chat), newest_of(&reply.results)) {
        joined.sent = joined.sent.max(seq);
    }
    let mut results = reply.results.into_iter();
    for (number, command) in (0..).zip(&batch.work) {
        let result = results.next().unwrap_or_default();
        match outcome_of(result).map_err(|failure| failure.spread(step.at.chance(number))) {
            Ok(stored) => step.ok(socket.id, command.reply(), ack(&batch.chat, &stored)),
            Err(failure) => step.fail(socket.id, command.reply(), &failure),
        }
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

fn ack(chat: &MatchId, stored: &Stored) -> String {
    views::to_json(&Sent {
        ok: true,
        id: MessageId(chat.as_str(), stored.seq),
        seq: stored.seq,
        created_at: rfc3339::write(stored.created_at_ms),
        client_id: &stored.client_id,
        duplicate: stored.duplicate,
    })
}
