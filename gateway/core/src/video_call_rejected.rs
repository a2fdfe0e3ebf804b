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
    use proto::MatchId;

    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn what_comes_along_is_relayed_as_it_is_and_null_is_nothing() {
        let asked = |json| read(&event("", [Some(json), None]));
        let of = |signal: Option<&str>, call_id: Option<&str>| {
            let (chat, signal) = (MatchId::new("m").ok(), signal.map(str::to_owned));
            let command = Command::Reject(request::Reject { signal, reason: None });
            Ok(Asked { chat, call_id: call_id.map(str::to_owned), command })
        };
        assert_eq!(
            asked(r#"{"matchId":"m","callId":"c","signal":{ "a": 1.0 }}"#),
            of(Some("{ \"a\": 1.0 }"), Some("c"))
        );
        assert_eq!(asked(r#"{"matchId":"m","signal":null}"#), of(None, None));
        for json in [r#"{"callId":"c"}"#, r#"{"matchId":"m","callId":"<c>"}"#, r#"{"matchId":"a b"}"#, "\"m\""] {
            assert_eq!(asked(json), Err(Failure::invalid()), "{json}");
        }
    }
}
