//! What a command names, for the event that tells of its failure.

use std::{borrow::Cow, fmt};

use proto::{ClientId, MatchId, ids::CallId};
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The ids that a command gave: its match, its message, its call. Only well-formed ones count, so that nothing else of
/// a request is ever told back.
#[derive(Debug, Default)]
pub struct Names(Option<Box<Ids>>);

#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) of_match: Option<MatchId>,
    pub(super) message: Option<ClientId>,
    pub(super) call: Option<CallId>,
}

impl Names {
    /// What the first argument of an event, as raw JSON, names, be the rest of it as it may: a match alone, or ids in
    /// an object.
    pub fn of(first: Option<&str>) -> Self {
        let mut ids = Ids::default();
        match first {
            Some(json) if json.starts_with('"') => ids.of_match = text(json).and_then(|id| MatchId::new(id).ok()),
            Some(json) if json.starts_with('{') => {
                // What was read before something unreadable counts.
                let _ = Fields(&mut ids).deserialize(&mut serde_json::Deserializer::from_str(json));
            }
            _ => {}
        }
        let is_empty = ids.of_match.is_none() && ids.message.is_none() && ids.call.is_none();
        Self((!is_empty).then(|| Box::new(ids)))
    }

    pub(super) fn ids(&self) -> Option<&Ids> {
        self.0.as_deref()
    }
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Reads the ids among the fields of an object. Of a field that is there twice the last one counts.
struct Fields<'a>(&'a mut Ids);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "matchId" => self.0.of_match = id(&mut map)?.and_then(|id| MatchId::new(id).ok()),
                "clientId" => self.0.message = id(&mut map)?.and_then(|id| ClientId::new(id).ok()),
                "callId" => self.0.call = id(&mut map)?.and_then(|id| CallId::new(id).ok()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The next value, if it is a text.
fn id<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    Ok(text(map.next_value::<&'de RawValue>()?.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> [Option<String>; 3] {
        let names = Names::of(Some(json));
        let ids = names.0.map(|ids| *ids).unwrap_or_default();
        [ids.of_match.map(String::from), ids.message.map(|id| id.as_str().to_owned()), ids.call.map(String::from)]
    }

    #[test]
    fn a_command_names_its_match_alone_or_ids_in_an_object() {
        assert_eq!(of(r#""m1""#), [Some("m1".into()), None, None]);
        assert_eq!(
            of(r#"{"matchId":"m1","clientId":"c 1","callId":"v1"}"#),
            [Some("m1".into()), Some("c 1".into()), Some("v1".into())]
        );
        assert_eq!(of(r#"{"message":{"matchId":"inner"},"clientId":"c"}"#), [None, Some("c".into()), None]);
    }

    #[test]
    fn the_rest_of_the_command_may_be_anything() {
        let deep = format!(r#"{{"matchId":"m1","message":{}1{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        assert_eq!(of(&deep), [Some("m1".into()), None, None]);
        assert_eq!(of(r#"{"message":"\ud800","matchId":"m1","x":1e999}"#), [Some("m1".into()), None, None]);
        assert_eq!(of(r#"{"matchId":"m1","\ud800":1,"clientId":"c"}"#), [Some("m1".into()), None, None]);
    }

    #[test]
    fn what_is_no_id_is_not_named() {
        let long = "x".repeat(65);
        for json in ["", "7", "null", "[]", r#"["m1"]"#, r#""a b""#, r#"{"matchId":7}"#, r#"{"matchId":["m1"]}"#] {
            assert_eq!(of(json), [None, None, None], "{json}");
        }
        assert_eq!(of(&format!(r#"{{"matchId":"a.b","clientId":"{long}","callId":"<b>"}}"#)), [None, None, None]);
        assert_eq!(of(r#"{"clientId":"\u0000"}"#), [None, None, None]);
        assert_eq!(of(r#"{"matchId":"m1","matchId":7}"#), [None, None, None]);
    }
}
