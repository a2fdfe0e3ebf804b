//! `video_call_rejected`: the call is declined.

use proto::signaling::{call_request as request, call_request::Command};

use crate::{
    arguments::ClientEvent,
    call_command::{Asked, CallArgument},
    failure::Failure,
};

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<Asked, Failure> {
    let mut argument = CallArgument::read(event)?;
    let signal = argument.signal();
    let reason = argument.reason.take();
    argument.asks(Command::Reject(request::Reject { signal, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn what_comes_along_is_passed_on() {
        let asked =
            read(&event("", [Some(r#"{"matchId":"m","callId":"c","signal":1,"reason":"busy"}"#), None])).unwrap();
        let signal = Some("1".to_owned());
        let reason = Some("busy".to_owned());
        assert_eq!(asked.command, Command::Reject(request::Reject { signal, reason }));
        assert_eq!(asked.call_id.as_deref(), Some("c"));
    }
}
