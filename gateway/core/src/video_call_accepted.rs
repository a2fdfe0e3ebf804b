//! `video_call_accepted`: the call is taken.

use proto::signaling::{call_request as request, call_request::Command};

use crate::{
    arguments::ClientEvent,
    call_command::{Asked, CallArgument},
    failure::Failure,
};

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<Asked, Failure> {
    let argument = CallArgument::read(event)?;
    let signal = argument.signal();
    argument.asks(Command::Accept(request::Accept { signal }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn what_comes_along_is_passed_on() {
        let asked = read(&event("", [Some(r#"{"matchId":"m","callId":"c","signal":1}"#), None])).unwrap();
        let signal = Some("1".to_owned());
        assert_eq!(asked.command, Command::Accept(request::Accept { signal }));
        assert_eq!(asked.call_id.as_deref(), Some("c"));
    }
}
