//! The live call of a client that comes back without a cursor: its new socket takes the place of the earlier one.

use std::sync::Arc;

use proto::{
    Code, MatchId,
    signaling::{Call, call_request as request, call_request::Command, get_call_request::Of},
};

use super::{Context, Socket, call_commands, connections, recovery};
use crate::failure::Failure;

/// How often signaling is asked, while it does not answer. A command that is repeated does no harm.
const MAX_TRIES: u32 = 3;

/// Closes the earlier socket, if it lives; puts this one in its place in the user's live call, if it takes part in
/// that; shows it the call.
pub(super) async fn take_over(context: &Arc<Context>, socket: &Arc<Socket>, earlier_device: &str) {
    let earlier = socket.session().resumed.as_ref().map(|resumed| resumed.replaces.clone());
    if let Some(earlier) = earlier {
        recovery::replace_earlier(context, socket, &earlier).await;
    }
    let call = live_call(context, socket, earlier_device).await;
    // From here on what is meant for the earlier device is not for this one.
    socket.session().resumed = None;
    if let Some(call) = call {
        connections::show_call(context, socket, call);
    }
}

/// The user's live call, with this socket in the place of the earlier device.
async fn live_call(context: &Context, socket: &Socket, earlier_device: &str) -> Option<Call> {
    let call = context.services.get_call(Of::UserId(socket.user_id().to_string())).await.ok()??;
    if device_of(&call, socket.user_id().as_str()) != Some(earlier_device) {
        return Some(call);
    }
    for _ in 0..MAX_TRIES {
        match ask(context, socket, &call, earlier_device).await {
            Ok(call) => return Some(call),
            Err(failure) if failure.code == Code::Unavailable && !socket.emitter.is_closed() => {}
            // The call has ended, or another device has taken it.
            Err(_) => return None,
        }
    }
    None
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
