//! The call commands: to signaling-service in the order in which the socket gave them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    Code, MatchId,
    client::{both, command},
    inbox::{
        CallChanged,
        call_changed::{Change, Ended},
    },
    signaling::{Call, CallRequest, CallState, call_request as request, call_request::Command, get_call_request::Of},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use service_kit::clock;
use tracing::{Instrument, info_span};

use super::{
    Context, Socket, call_events, commands, handover, order,
    reply::Reply,
    turns::{RETRY_AFTER, Turn, Weighted},
};
use crate::{
    failure::Failure,
    payload::compact,
    socketio::{Args, Event},
    views,
};

/// A party's lease is renewed this often; signaling lets it lapse after three of these.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// When a call is gone, its end is told by then: signaling repeats it for 3 s.
const END_TOLD_WITHIN: Duration = Duration::from_secs(4);
/// The reason of an end that nobody knows more of.
const CONNECTION_LOST: &str = "connection_lost";
/// Most call commands that wait behind the one in flight: the largest burst of signals that a socket may send, and more.
const MAX_WAITING: usize = 128;
/// Most bytes of call commands that wait behind the one in flight.
const MAX_WAITING_BYTES: usize = 512 * 1024;
/// The largest `media`, in bytes of its JSON without white space.
const MAX_MEDIA_BYTES: usize = 2 * 1024;

/// A call command that waits its turn.
#[derive(Debug)]
pub(crate) struct CallCommand {
    /// Absent for a signal, which names only its call.
    chat: Option<MatchId>,
    call_id: Option<String>,
    command: Command,
    reply: Reply,
    span: tracing::Span,
}

impl CallCommand {
    /// The call that a signal is for.
    fn signaled_call(&self) -> Option<&str> {
        self.call_id.as_deref().filter(|_| matches!(self.command, Command::Signal(_)))
    }
}

impl Weighted for CallCommand {
    fn bytes(&self) -> usize {
        match &self.command {
            Command::Ring(ring) => ring.media.as_ref().map_or(0, String::len),
            Command::Accept(request::Accept { signal })
            | Command::Reject(request::Reject { signal, .. })
            | Command::End(request::End { signal, .. }) => signal.as_ref().map_or(0, String::len),
            Command::Signal(signal) => signal.payload.len(),
            Command::Renew(_) | Command::TakeOver(_) => 0,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallArgument {
    match_id: String,
    call_id: Option<String>,
    media: Option<Box<RawValue>>,
    signal: Option<Box<RawValue>>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignalArgument {
    call_id: String,
}

/// Handles a call event.
pub(super) fn take(context: &Arc<Context>, socket: &Arc<Socket>, event: &Event<'_>, reply: Reply) {
    let (chat, call_id, command) = match read(event.name, event.args) {
        Ok(read) => read,
        Err(failure) => return reply.fail(&failure),
    };
    if matches!(command, Command::Signal(_))
        && let Err(wait) = context.limits.call_signals.take(socket.user_id().as_str(), Instant::now())
    {
        return reply.fail(&Failure::rate_limited(wait));
    }
    let mut session = socket.session();
    if chat.as_ref().is_some_and(|chat| session.is_closed(chat)) {
        return reply.fail(&Code::MatchClosed.into());
    }
    let span = info_span!("call", command = event.name, user_id = %socket.user_id());
    let command = CallCommand { chat, call_id, command, reply, span };
    let turn = if session.call_commands.waiting_bytes() + command.bytes() > MAX_WAITING_BYTES {
        Turn::Full(command)
    } else {
        session.call_commands.take_within(MAX_WAITING, command)
    };
    drop(session);
    match turn {
        Turn::Now(first) => context.lifecycle.spawn(run_in_turn(Arc::clone(context), Arc::clone(socket), first)),
        Turn::Waits => {}
        Turn::Full(command) => command.reply.fail(&Failure::rate_limited(RETRY_AFTER)),
    }
}

/// Takes over the live call of an earlier device. The client's own call commands wait for it: they are this device's
/// only then.
pub(super) fn take_over(context: &Arc<Context>, socket: &Arc<Socket>, earlier_device: String) {
    let command = Command::TakeOver(request::TakeOver { earlier_device });
    let reply = Reply::unheard(&socket.emitter);
    let first = CallCommand { chat: None, call_id: None, command, reply, span: tracing::Span::none() };
    if let Turn::Now(first) = socket.session().call_commands.take(first) {
        context.lifecycle.spawn(run_in_turn(Arc::clone(context), Arc::clone(socket), first));
    }
}

fn read(name: &str, args: Args<'_>) -> Result<(Option<MatchId>, Option<String>, Command), Failure> {
    if name == command::VIDEO_CALL_SIGNAL {
        let SignalArgument { call_id } = commands::argument(args)?;
        let payload = args.get(0).unwrap_or_default().to_owned();
        return Ok((None, Some(checked(call_id)?), Command::Signal(request::Signal { payload })));
    }
    let argument: CallArgument = commands::argument(args)?;
    let json = |value: Option<Box<RawValue>>| value.map(|value| value.get().to_owned()).filter(|json| json != "null");
    let (signal, reason) = (json(argument.signal), argument.reason);
    let command = match name {
        command::VIDEO_CALL_REQUEST => Command::Ring(request::Ring { media: media(argument.media.as_deref())? }),
        both::VIDEO_CALL_ACCEPTED => Command::Accept(request::Accept { signal }),
        both::VIDEO_CALL_REJECTED => Command::Reject(request::Reject { signal, reason }),
        _ => Command::End(request::End { signal, reason }),
    };
    let call_id = argument.call_id.map(checked).transpose()?;
    Ok((Some(commands::match_id(argument.match_id)?), call_id, command))
}

/// The JSON of a ring's `media`, unless it is null.
fn media(given: Option<&RawValue>) -> Result<Option<String>, Failure> {
    let Some(media) = given.map(|given| compact(given.get())) else { return Ok(None) };
    if media.len() > MAX_MEDIA_BYTES {
        return Err(Code::PayloadTooLarge.into());
    }
    Ok(Some(media).filter(|json| json != "null"))
}

/// Call ids are ids like any other.
fn checked(call_id: String) -> Result<String, Failure> {
    proto::ids::CallId::new(call_id).map(String::from).map_err(|_| Failure::invalid())
}

async fn run_in_turn(context: Arc<Context>, socket: Arc<Socket>, first: CallCommand) {
    let mut batch = vec![first];
    while !batch.is_empty() {
        let mut unreachable = None;
        for command in batch {
            // What waits behind a signal that nobody took is not held up by each further one.
            if unreachable.is_some() && command.signaled_call() == unreachable.as_deref() {
                command.reply.fail(&Failure::unavailable());
                continue;
            }
            let (span, signaled) = (command.span.clone(), command.signaled_call().map(str::to_owned));
            let ran = order::contained(run(&context, &socket, command).instrument(span)).await;
            if ran == Some(Err(Code::Unavailable)) {
                unreachable = signaled.or(unreachable);
            }
        }
        batch = socket.session().call_commands.next_batch();
    }
}

/// Carries a command out and answers it; returns the code of a refusal.
async fn run(context: &Arc<Context>, socket: &Arc<Socket>, command: CallCommand) -> Result<(), Code> {
    let CallCommand { chat, call_id, command, reply, .. } = command;
    if let Command::TakeOver(request::TakeOver { earlier_device }) = command {
        handover::take_over(context, socket, &earlier_device).await;
        return Ok(());
    }
    let chat = match chat {
        Some(chat) => Ok(chat),
        None => chat_of_call(context, socket, call_id.as_deref().unwrap_or_default()).await,
    };
    let answer = match chat {
        Ok(chat) => ask(context, socket, &chat, (call_id, command)).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(call) => {
            keep_lease(context, socket, &call);
            reply.ok(&views::to_json(&serde_json::json!({
                "ok": true,
                "callId": call.call_id,
                "state": views::state_name(call.state()),
                "expiresAt": clock::rfc3339(call.expires_at_ms),
            })));
            Ok(())
        }
        Err(failure) => {
            reply.fail(&failure);
            Err(failure.code)
        }
    }
}

/// A signal names its call only; somebody else's call is no call.
async fn chat_of_call(context: &Context, socket: &Socket, call_id: &str) -> Result<MatchId, Failure> {
    let known = socket.session().calls.chat_of(call_id).cloned();
    if let Some(chat) = known {
        return Ok(chat);
    }
    let call = context.services.get_call(Of::CallId(call_id.to_owned())).await?;
    let user = socket.user_id().as_str();
    let call = call.filter(|call| call.caller == user || call.callee == user);
    let call = call.ok_or_else(|| Failure::from(Code::CallNotFound))?;
    MatchId::new(call.match_id).map_err(|_| Code::CallNotFound.into())
}

pub(super) async fn ask(
    context: &Context,
    socket: &Socket,
    chat: &MatchId,
    (call_id, command): (Option<String>, Command),
) -> Result<Call, Failure> {
    let request = CallRequest {
        match_id: chat.as_str().to_owned(),
        user_id: socket.user_id().as_str().to_owned(),
        device: socket.device().to_owned(),
        call_id,
        deadline_ms: 0,
        command: Some(command),
    };
    context.services.call(chat, request).await
}

/// While this device is a party of a live call, its lease is kept alive.
pub(super) fn keep_lease(context: &Arc<Context>, socket: &Arc<Socket>, call: &Call) {
    let Ok(chat) = MatchId::new(call.match_id.as_str()) else { return };
    let is_party = call.caller_device == socket.device() || call.callee_device.as_deref() == Some(socket.device());
    if call.state() == CallState::Ended {
        return socket.session().calls.release(&call.call_id);
    }
    if is_party && socket.session().calls.lease(&call.call_id, &chat) {
        let lease = renew_lease(Arc::clone(context), Arc::clone(socket), chat, call.call_id.clone());
        context.lifecycle.spawn(lease);
    }
}

async fn renew_lease(context: Arc<Context>, socket: Arc<Socket>, chat: MatchId, call_id: String) {
    // The first one at once: a device that has come back may have little left of its lease.
    while !socket.emitter.is_closed() && socket.session().calls.is_leased(&call_id) {
        let renewed = ask(&context, &socket, &chat, (Some(call_id.clone()), Command::Renew(request::Renew {}))).await;
        let pause = match renewed {
            Err(Failure { code: Code::CallStateConflict, .. }) => return socket.session().calls.release(&call_id),
            Err(Failure { code: Code::CallNotFound, .. }) => END_TOLD_WITHIN,
            _ => RENEW_INTERVAL,
        };
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if pause == END_TOLD_WITHIN {
            return tell_lost(&socket, &chat, &call_id);
        }
    }
}

/// The call is gone and its end was not told, as after a loss of Redis: the device hears that it is over.
fn tell_lost(socket: &Socket, chat: &MatchId, call_id: &str) {
    if !socket.session().calls.is_leased(call_id) {
        return;
    }
    let ended = Ended { signal: None, reason: CONNECTION_LOST.to_owned() };
    let lost = CallChanged {
        call_id: call_id.to_owned(),
        match_id: chat.as_str().to_owned(),
        // Nothing that is heard of it later is news.
        version: i64::MAX,
        change: Some(Change::Ended(ended)),
        ..CallChanged::default()
    };
    call_events::give(socket, &lost);
}
