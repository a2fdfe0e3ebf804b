//! One socket's call commands: to signaling-service one after the other, in the order in which the socket gave them.

use std::{collections::VecDeque, time::Duration};

use proto::{
    Code, MatchId, UserId, rfc3339,
    signaling::{
        Call, GetCallResponse, call_request as request,
        call_request::Command,
        get_call_request::{Of, OfDevice},
    },
};

use crate::{
    call_changed,
    call_command::{Asked, CallCommand, CallWork},
    command::Queues,
    failure::Failure,
    lease, live_call,
    mistake::{self, Mistake},
    output::{Ask, CallFor, Output, SocketId, Timer},
    reply::Reply,
    socket_replaced,
    socket_state::SocketState,
    step::{Limits, Step},
    turns::{RETRY_AFTER, Turn, Weighted},
    views,
};

/// Most call commands that wait behind the one in flight: the largest burst of signals that a socket may send, and
/// more.
const MAX_WAITING: usize = 128;
/// Most bytes of call commands that wait behind the one in flight.
const MAX_WAITING_BYTES: usize = 512 * 1024;
/// How often signaling is asked for a take-over, while it does not answer. A command that is repeated does no harm.
const MAX_TRIES: u32 = 3;
/// How often a call is looked for in which the earlier device takes part, and how long after the last time.
const MAX_LOOKS: u32 = 4;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Takes a command: it begins now, or when those before it are done.
pub(crate) fn take<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    Asked { chat, call_id, command }: Asked,
    reply: Reply,
    step: &mut Step<'_, L>,
) {
    if chat.as_ref().is_some_and(|chat| socket.chats.is_closed(chat)) {
        return step.fail(socket.id, &reply, &Code::MatchClosed.into());
    }
    let command = CallCommand { chat, call_id, command, reply };
    let calls = &mut queues::<L>(socket).calls;
    let turn = if calls.waiting_bytes() + command.bytes() > MAX_WAITING_BYTES {
        Turn::Full(command)
    } else {
        calls.take_within(MAX_WAITING, command)
    };
    match turn {
        Turn::Now(first) => begin(socket, VecDeque::from([first]), step),
        Turn::Waits => {}
        Turn::Full(command) => step.fail(socket.id, &command.reply, &Failure::rate_limited(RETRY_AFTER)),
    }
    socket.tidy();
}

/// Takes over the live call of an earlier device. The client's own call commands wait for it: they are this device's
/// only then.
pub(crate) fn take_over<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    earlier_device: String,
    step: &mut Step<'_, L>,
) {
    let command = Command::TakeOver(request::TakeOver { earlier_device });
    take(socket, Asked { chat: None, call_id: None, command }, Reply::unheard(), step);
}

/// Signaling has answered the command at work.
pub(crate) fn called<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    answer: Result<Call, Failure>,
    step: &mut Step<'_, L>,
) {
    let Some(mut work) = queues::<L>(socket).call.take() else { return };
    if matches!(work.current.command, Command::TakeOver(_)) {
        return taken_over(socket, work, answer, step);
    }
    contained(socket, &mut work, step, |socket, work, step| match answer {
        Ok(call) => {
            lease::keep(socket, &call, step);
            step.ok(socket.id, &work.current.reply, ack(&call));
        }
        Err(failure) => {
            step.fail(socket.id, &work.current.reply, &failure);
            if failure.code == Code::Unavailable {
                work.unreachable = work.current.signaled_call().map(str::to_owned).or(work.unreachable.take());
            }
        }
    });
    next(socket, work, step);
}

/// The call was found that the command at work names, or that the user has.
pub(crate) fn found<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    found: Result<GetCallResponse, Failure>,
    step: &mut Step<'_, L>,
) {
    let Some(mut work) = queues::<L>(socket).call.take() else { return };
    if matches!(work.current.command, Command::TakeOver(_)) {
        return found_own(socket, work, found.unwrap_or_default(), step);
    }
    match found.and_then(|found| chat_of(found.call, step.user)) {
        Ok(chat) => ask(socket, work, &chat, step),
        Err(failure) => {
            step.fail(socket.id, &work.current.reply, &failure);
            if failure.code == Code::Unavailable {
                work.unreachable = work.current.signaled_call().map(str::to_owned);
            }
            next(socket, work, step);
        }
    }
}

/// The match of a call that a signal names. Somebody else's call is no call.
fn chat_of(call: Option<Call>, user: &UserId) -> Result<MatchId, Failure> {
    let call = call.filter(|call| call.caller == user.as_str() || call.callee == user.as_str());
    let call = call.ok_or_else(|| Failure::from(Code::CallNotFound))?;
    MatchId::new(call.match_id).map_err(|_| Code::CallNotFound.into())
}

/// Begins the first of commands that go together.
fn begin<L: Limits>(socket: &mut SocketState<L::Ticket>, mut batch: VecDeque<CallCommand>, step: &mut Step<'_, L>) {
    if let Some(current) = batch.pop_front() {
        start(socket, CallWork { current, rest: batch, unreachable: None, tries: 0 }, step);
    }
}

/// Begins the next command.
fn next<L: Limits>(socket: &mut SocketState<L::Ticket>, mut work: CallWork, step: &mut Step<'_, L>) {
    while let Some(command) = work.rest.pop_front() {
        // What waits behind a signal that nobody took is not held up by each further one.
        if work.unreachable.is_some() && command.signaled_call() == work.unreachable.as_deref() {
            step.fail(socket.id, &command.reply, &Failure::unavailable());
            continue;
        }
        (work.current, work.tries) = (command, 0);
        return start(socket, work, step);
    }
    let batch = queues::<L>(socket).calls.next_batch();
    begin(socket, batch.into(), step);
    socket.tidy();
}

fn start<L: Limits>(socket: &mut SocketState<L::Ticket>, work: CallWork, step: &mut Step<'_, L>) {
    let (id, call_id) = (socket.id, work.current.call_id.as_deref().unwrap_or_default());
    if let Command::TakeOver(request::TakeOver { earlier_device }) = &work.current.command {
        if let Some(resumed) = &socket.resumed {
            socket_replaced::tell(socket, &resumed.replaces, step);
        }
        find_own(id, earlier_device, step);
    } else if let Some(chat) = work.current.chat.as_ref().or_else(|| socket.calls.chat_of(call_id)).cloned() {
        return ask(socket, work, &chat, step);
    } else {
        step.ask(Ask::FindCall(id, CallFor::Command, Of::CallId(call_id.to_owned())));
    }
    queues::<L>(socket).call = Some(work);
}

fn ask<L: Limits>(socket: &mut SocketState<L::Ticket>, work: CallWork, chat: &MatchId, step: &mut Step<'_, L>) {
    let (call_id, command) = (work.current.call_id.clone(), work.current.command.clone());
    let request = Box::new(lease::request_of(socket, (chat, call_id), command, step));
    step.ask(Ask::Call(socket.id, CallFor::Command, chat.clone(), request));
    queues::<L>(socket).call = Some(work);
}

/// The user's live call was found, or there is none: this socket is put in the place of the earlier device, if that
/// takes part in it.
fn found_own<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    mut work: CallWork,
    GetCallResponse { call, told }: GetCallResponse,
    step: &mut Step<'_, L>,
) {
    let Command::TakeOver(request::TakeOver { earlier_device }) = &work.current.command else { return };
    for missed in &told {
        call_changed::give(socket, missed, step);
    }
    let own = call.as_ref().filter(|call| device_of(call, step.user.as_str()) == Some(earlier_device));
    if let Some((call, chat)) = own.and_then(|call| Some((call, MatchId::new(call.match_id.as_str()).ok()?))) {
        (work.current.call_id, work.current.chat) = (Some(call.call_id.clone()), Some(chat.clone()));
        work.tries = 1;
        return ask(socket, work, &chat, step);
    }
    work.tries += 1;
    // The earlier device may be about to take over from one before it: of a client that comes back twice within a
    // moment.
    if call.is_some() && work.tries < MAX_LOOKS && !socket.is_gone {
        step.out.push(Output::After(LOOK_AGAIN_AFTER, Timer::TakeOver(socket.id)));
        queues::<L>(socket).call = Some(work);
        return;
    }
    shown(socket, work, call, step);
}

/// Looks again for the user's live call, whose device may be the earlier one by now.
pub(crate) fn look_again<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    let work = socket.queues.as_ref().and_then(|queues| queues.call.as_ref());
    if let Some(Command::TakeOver(request::TakeOver { earlier_device })) = work.map(|work| &work.current.command) {
        find_own(socket.id, earlier_device, step);
    }
}

/// Asks for the user's live call, and for what became of the last one if the earlier device took part in it.
fn find_own<L: Limits>(id: SocketId, earlier_device: &str, step: &mut Step<'_, L>) {
    let device = OfDevice { user_id: step.user.to_string(), device: earlier_device.to_owned(), heard_of: None };
    step.ask(Ask::FindCall(id, CallFor::Command, Of::OfDevice(device)));
}

/// Signaling has answered the take-over.
fn taken_over<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    mut work: CallWork,
    answer: Result<Call, Failure>,
    step: &mut Step<'_, L>,
) {
    let may_help = matches!(&answer, Err(failure) if failure.code == Code::Unavailable) && !socket.is_gone;
    if let (true, Some(chat)) = (may_help && work.tries < MAX_TRIES, work.current.chat.clone()) {
        work.tries += 1;
        return ask(socket, work, &chat, step);
    }
    // Without an answer the call has ended, or another device has taken it.
    shown(socket, work, answer.ok(), step);
}

/// The earlier device has no part in the call any more: what is meant for it is not for this socket from here on.
fn shown<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    mut work: CallWork,
    call: Option<Call>,
    step: &mut Step<'_, L>,
) {
    socket.resumed = None;
    contained(socket, &mut work, step, |socket, _, step| {
        if let Some(call) = call {
            live_call::show(socket, call, step);
        }
    });
    next(socket, work, step);
}

/// Does what is done with an answer. If that panics, the command is answered, and the turn goes on.
fn contained<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    work: &mut CallWork,
    step: &mut Step<'_, L>,
    act: impl FnOnce(&mut SocketState<L::Ticket>, &mut CallWork, &mut Step<'_, L>),
) {
    let is_done = step.contained(|step| {
        act(socket, work, step);
        mistake::panic_if_planted(Mistake::PanicInAnswer);
    });
    if !is_done {
        step.fail(socket.id, &work.current.reply, &Code::Internal.into());
    }
}

fn ack(call: &Call) -> String {
    views::to_json(&serde_json::json!({
        "ok": true,
        "callId": call.call_id,
        "state": views::state_name(call.state()),
        "expiresAt": rfc3339::write(call.expires_at_ms),
    }))
}

/// The device on which a party takes part.
fn device_of<'a>(call: &'a Call, user: &str) -> Option<&'a str> {
    if call.caller == user { Some(&call.caller_device) } else { call.callee_device.as_deref() }
}

fn queues<L: Limits>(socket: &mut SocketState<L::Ticket>) -> &mut Queues<L::Ticket> {
    socket.queues.get_or_insert_default()
}
