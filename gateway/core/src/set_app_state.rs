//! `set_app_state`: whether the app is in use on this device. Who has it in the background everywhere is not online.

use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    reply::Reply,
    socket_state::SocketState,
    step::{Limits, Step},
};

#[derive(Deserialize)]
struct SetAppState {
    state: AppState,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum AppState {
    Active,
    Background,
}

/// Takes a `set_app_state`; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: &Reply,
    step: &mut Step<'_, L>,
) {
    match read(event) {
        Ok(state) => {
            socket.is_in_background = state == AppState::Background;
            step.ok(socket.id, reply, "{\"ok\":true}".to_owned());
        }
        Err(failure) => step.fail(socket.id, reply, &failure),
    }
}

fn read(event: &ClientEvent<'_>) -> Result<AppState, Failure> {
    arguments::argument(event).map(|SetAppState { state }| state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn an_app_is_active_or_in_the_background() {
        let read = |json| read(&event("set_app_state", [Some(json), None]));
        assert_eq!(read(r#"{"state":"active"}"#), Ok(AppState::Active));
        assert_eq!(read(r#"{"state":"background"}"#), Ok(AppState::Background));
        for json in [r#""active""#, "{}", "null", r#"{"state":"Active"}"#, r#"{"state":1}"#, r#"{"state":null}"#] {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}
