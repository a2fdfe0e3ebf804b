//! The live call of a client that comes back without a cursor: its new socket takes the place of the earlier one.

use std::sync::Arc;

use proto::{
    Code, MatchId,
    signaling::{Call, call_request as request, call_request::Command, get_call_request::Of},
};

use super::{Context, Socket, call_commands, connections};
use crate::failure::Failure;

/// How often signaling is asked, while it does not answer. A command that is repeated does no harm.
const MAX_TRIES: u32 = 3;

/// Puts the socket in the place of the earlier device in the user's live call, if that takes part in it, and shows it the call.
pub(super) async fn take_over(context: &Arc<Context>, socket: &Arc<Socket>, earlier_device: String) {
    let Ok(Some(call)) = context.services.get_call(Of::UserId(socket.user_id().to_string())).await else { return };
    if device_of(&call, socket.user_id().as_str()) != Some(&*earlier_device) {
        return connections::show_call(context, socket, call);
    }
    for _ in 0..MAX_TRIES {
        match ask(context, socket, &call, &earlier_device).await {
            Ok(call) => return connections::show_call(context, socket, call),
            Err(failure) if failure.code == Code::Unavailable && !socket.emitter.is_closed() => {}
            // The call has ended, or another device has taken it.
            Err(_) => return,
        }
    }
}

async fn ask(context: &Context, socket: &Socket, call: &Call, earlier_device: &str) -> Result<Call, Failure> {
    let chat = MatchId::new(call.match_id.as_str()).map_err(|_| Code::CallNotFound)?;
    let command = Command::TakeOver(request::TakeOver { earlier_device: earlier_device.to_owned() });
    call_commands::ask(context, socket, &chat, (Some(call.call_id.clone()), command)).await
}

/// The device on which a party takes part.
fn device_of<'a>(call: &'a Call, user: &str) -> Option<&'a str> {
    if call.caller == user { Some(&call.caller_device) } else { call.callee_device.as_deref() }
}
