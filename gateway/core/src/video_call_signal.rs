//! `video_call_signal`: `WebRTC` signaling of an accepted call, relayed to the other party's selected device.

use proto::signaling::{call_request as request, call_request::Command};
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    call_command::{Asked, call_id},
    failure::Failure,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignalArgument {
    call_id: String,
}

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<Asked, Failure> {
    let argument: SignalArgument = arguments::argument(event)?;
    let payload = event.arguments[0].unwrap_or_default().to_owned();
    let call_id = Some(call_id(argument.call_id)?);
    Ok(Asked { chat: None, call_id, command: Command::Signal(request::Signal { payload }) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn a_signal_names_its_call_and_is_relayed_whole() {
        let json = r#"{"callId":"c","candidate":{ "x":1 }}"#;
        let asked = read(&event("", [Some(json), None])).unwrap();
        assert_eq!((asked.chat, asked.call_id.as_deref()), (None, Some("c")));
        assert_eq!(asked.command, Command::Signal(request::Signal { payload: json.to_owned() }));
        assert_eq!(read(&event("", [Some(r#"{"callId":7}"#), None])), Err(Failure::invalid()));
    }
}
