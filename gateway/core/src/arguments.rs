//! What a client's event says: its arguments, read as what they should be.

use proto::MatchId;
use serde::Deserialize;

use crate::failure::Failure;

/// An event of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientEvent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its first two arguments, each as raw JSON. What stands beyond them is ignored, as a handler of so many arguments
    /// does with npm's server.
    pub arguments: [Option<&'a str>; 2],
    /// The ack id, if the client waits for an answer.
    pub ack: Option<u64>,
    /// The arguments cannot be taken as they are: nested too deep, no Unicode text, or with binary data, which no
    /// command of ours takes.
    pub is_invalid: bool,
}

/// A match, named alone or in an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum MatchArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
    },
}

/// The first argument, text or an object, as a `T`; anything else is `INVALID_PAYLOAD`.
pub(crate) fn argument<'a, T: Deserialize<'a>>(event: &ClientEvent<'a>) -> Result<T, Failure> {
    let first = event.arguments[0].unwrap_or("null");
    // Of an array serde would take the elements for the fields, in their order.
    if first.starts_with('[') {
        return Err(Failure::invalid());
    }
    serde_json::from_str(first).map_err(|_| Failure::invalid())
}

/// The first argument as a match: `matchId` or `{matchId}`.
pub(crate) fn match_argument(event: &ClientEvent<'_>) -> Result<MatchId, Failure> {
    match argument(event)? {
        MatchArgument::Id(id) | MatchArgument::Object { match_id: id } => match_id(id),
    }
}

/// A match id; a malformed one is `INVALID_PAYLOAD`.
pub(crate) fn match_id(text: impl AsRef<str> + Into<Box<str>>) -> Result<MatchId, Failure> {
    MatchId::new(text).map_err(|_| Failure::invalid())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An event with these arguments.
    pub(crate) fn event<'a>(name: &'a str, arguments: [Option<&'a str>; 2]) -> ClientEvent<'a> {
        ClientEvent { name, arguments, ack: Some(1), is_invalid: false }
    }

    #[test]
    fn a_match_is_named_alone_or_in_an_object_but_not_in_an_array() {
        let named = |json| match_argument(&event("", [Some(json), None]));
        assert_eq!(named(r#""demo""#), MatchId::new("demo").map_err(|_| Failure::invalid()));
        assert_eq!(named(r#"{"matchId":"demo"}"#), named(r#""demo""#));
        for json in [r#"["demo"]"#, r#"[ "demo" ]"#, "{}", "7", ""] {
            assert_eq!(named(json), Err(Failure::invalid()), "{json}");
        }
        assert_eq!(match_argument(&event("", [None, None])), Err(Failure::invalid()));
    }
}
