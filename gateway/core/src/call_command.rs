//! A call command of a socket, and the one that is at work.

use std::collections::VecDeque;

use proto::{
    MatchId,
    signaling::{call_request as request, call_request::Command},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    reply::Reply,
    turns::Weighted,
};

/// A call command that waits its turn.
#[derive(Debug)]
pub(crate) struct CallCommand {
    /// Absent for a signal, which names only its call.
    pub(crate) chat: Option<MatchId>,
    pub(crate) call_id: Option<String>,
    pub(crate) command: Command,
    pub(crate) reply: Reply,
}

/// What a client asks of a call, before it is known how it is answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) chat: Option<MatchId>,
    pub(crate) call_id: Option<String>,
    pub(crate) command: Command,
}

/// The call command at work, and those that were taken together with it.
#[derive(Debug)]
pub(crate) struct CallWork {
    pub(crate) current: CallCommand,
    pub(crate) rest: VecDeque<CallCommand>,
    /// A call of which a signal was taken by no device: further ones of those taken together need not be tried.
    pub(crate) unreachable: Option<String>,
    /// How often signaling was asked for the current one.
    pub(crate) tries: u32,
}

/// The argument of the call events other than signals.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallArgument {
    match_id: String,
    call_id: Option<String>,
    pub(crate) media: Option<Box<RawValue>>,
    signal: Option<Box<RawValue>>,
    pub(crate) reason: Option<String>,
}

impl CallArgument {
    pub(crate) fn read(event: &ClientEvent<'_>) -> Result<Self, Failure> {
        arguments::argument(event)
    }

    /// The JSON that is relayed as it is, unless it is null.
    pub(crate) fn signal(&self) -> Option<String> {
        self.signal.as_ref().map(|signal| signal.get().to_owned()).filter(|json| json != "null")
    }

    pub(crate) fn asks(self, command: Command) -> Result<Asked, Failure> {
        let call_id = self.call_id.map(call_id).transpose()?;
        Ok(Asked { chat: Some(arguments::match_id(self.match_id)?), call_id, command })
    }
}

/// Call ids are ids like any other.
pub(crate) fn call_id(call_id: String) -> Result<String, Failure> {
    proto::ids::CallId::new(call_id).map(String::from).map_err(|_| Failure::invalid())
}

impl CallCommand {
    /// The call that a signal is for.
    pub(crate) fn signaled_call(&self) -> Option<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    /// The signal of an argument, and what it asks.
    fn read(json: &str) -> Result<(Option<String>, Asked), Failure> {
        let argument = CallArgument::read(&event("", [Some(json), None]))?;
        let signal = argument.signal();
        Ok((signal, argument.asks(Command::Renew(request::Renew {}))?))
    }

    #[test]
    fn a_signal_is_relayed_as_it_is_and_null_is_none() {
        let asked = |call_id: Option<&str>| Asked {
            chat: MatchId::new("m").ok(),
            call_id: call_id.map(str::to_owned),
            command: Command::Renew(request::Renew {}),
        };
        let read_whole = read(r#"{"matchId":"m","callId":"c","signal":{ "a": 1.0 }}"#);
        assert_eq!(read_whole, Ok((Some("{ \"a\": 1.0 }".to_owned()), asked(Some("c")))));
        assert_eq!(read(r#"{"matchId":"m","signal":null}"#), Ok((None, asked(None))));
    }

    #[test]
    fn an_argument_without_a_match_or_with_a_malformed_id_is_refused() {
        for json in [r#"{"callId":"c"}"#, r#"{"matchId":"m","callId":"<c>"}"#, r#"{"matchId":"a b"}"#, "\"m\""] {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}
