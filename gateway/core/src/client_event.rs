//! An event of a client, on its way to the module that knows it, within the user's limits.

use proto::{
    Code,
    client::{both, command},
};

use crate::{
    arguments::ClientEvent,
    call_command::Asked,
    call_line, delete_message, edit_message,
    failure::Failure,
    join_chat, leave_chat, mark_delivered, mark_read,
    marks::Marks,
    message_line,
    mistake::{self, Mistake},
    order,
    output::Output,
    react, refresh_token,
    reply::Reply,
    send_message, set_app_state,
    socket_state::SocketState,
    step::{Flood, Limited, Limits, Step},
    sync, typing, video_call_accepted, video_call_ended, video_call_rejected, video_call_request, video_call_signal,
    watch_presence,
};

/// Handles one event of a client.
pub(crate) fn handle<L: Limits>(
    (socket, marks): (&mut SocketState<L::Ticket>, &mut Marks),
    event: &ClientEvent<'_>,
    step: &mut Step<'_, L>,
) {
    let reply = Reply::new(event.name, event.arguments[0], event.ack);
    socket.last_event = step.at.now;
    if matches!(event.name, command::MARK_READ | command::MARK_DELIVERED) && !step.settings.receipts {
        return step.fail(socket.id, &reply, &Code::Forbidden.into());
    }
    if event.name == command::MARK_READ {
        // However often it comes: it is folded. Who sends too much is read from more slowly.
        if step.limits.take_event(step.user, step.at.now).is_err() {
            step.out.push(Output::PauseReads(socket.id));
        }
        return mark_read::take((socket.id, reply), event, marks, step);
    }
    match step.limits.take_event(step.user, step.at.now) {
        Ok(()) => {}
        Err(Flood::TooEarly(wait)) => return step.fail(socket.id, &reply, &Failure::rate_limited(wait)),
        Err(Flood::GoesOn(wait)) => {
            step.fail(socket.id, &reply.loud(), &Failure::rate_limited(wait));
            return step.out.push(Output::Close(socket.id));
        }
    }
    mistake::panic_if_planted(Mistake::PanicInEvent);
    if event.is_invalid {
        return step.fail(socket.id, &reply, &Failure::invalid());
    }
    let read = match event.name {
        command::SEND_MESSAGE => send_message::read(socket, event, reply, step),
        command::JOIN_CHAT => join_chat::read(socket, event, reply, step),
        command::LEAVE_CHAT => leave_chat::read(socket, event, reply, step),
        command::TYPING => typing::read(socket, event, reply, step),
        command::EDIT_MESSAGE => message_line::take(socket, edit_message::read(event), reply, step),
        command::DELETE_MESSAGE => message_line::take(socket, delete_message::read(event), reply, step),
        command::REACT => message_line::take(socket, react::read(event), reply, step),
        command::MARK_DELIVERED => return mark_delivered::take((socket.id, reply), event, marks, step),
        command::SYNC => return sync::take(socket, event, reply, step),
        command::WATCH_PRESENCE => return watch_presence::take(socket, event, reply, step),
        command::SET_APP_STATE => return set_app_state::take(socket, event, &reply, step),
        command::REFRESH_TOKEN => return refresh_token::take(socket, event, reply, step),
        _ => return call(socket, event, reply, step),
    };
    if let Some((chat, command)) = read {
        order::take(socket, chat, command, step);
    }
}

fn call<L: Limits>(socket: &mut SocketState<L::Ticket>, event: &ClientEvent<'_>, reply: Reply, step: &mut Step<'_, L>) {
    let asked = match event.name {
        command::VIDEO_CALL_REQUEST => video_call_request::read(event),
        both::VIDEO_CALL_ACCEPTED => video_call_accepted::read(event),
        both::VIDEO_CALL_REJECTED => video_call_rejected::read(event),
        both::VIDEO_CALL_ENDED => video_call_ended::read(event),
        command::VIDEO_CALL_SIGNAL => video_call_signal::read(event).and_then(|asked| allowed(asked, step)),
        _ => Err(Failure::invalid()),
    };
    match asked {
        Ok(asked) => call_line::take(socket, asked, reply, step),
        Err(failure) => step.fail(socket.id, &reply, &failure),
    }
}

fn allowed<L: Limits>(asked: Asked, step: &Step<'_, L>) -> Result<Asked, Failure> {
    let taken = step.limits.take(Limited::Signal, step.user, step.at.now);
    taken.map(|()| asked).map_err(Failure::rate_limited)
}
