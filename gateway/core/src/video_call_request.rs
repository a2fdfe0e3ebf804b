//! `video_call_request`: the other member is called.

use proto::{
    Code,
    signaling::{call_request as request, call_request::Command},
};
use serde_json::value::RawValue;

use crate::{
    arguments::ClientEvent,
    call_command::{Asked, CallArgument},
    failure::Failure,
    payload::compact,
};

/// The largest `media`, in bytes of its JSON without white space.
const MAX_MEDIA_BYTES: usize = 2 * 1024;

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<Asked, Failure> {
    let argument = CallArgument::read(event)?;
    let media = media(argument.media.as_deref())?;
    argument.asks(Command::Ring(request::Ring { media }))
}

/// The JSON of a ring's `media`, unless it is null.
fn media(given: Option<&RawValue>) -> Result<Option<String>, Failure> {
    let Some(media) = given.map(|given| compact(given.get())) else { return Ok(None) };
    if media.len() > MAX_MEDIA_BYTES {
        return Err(Code::PayloadTooLarge.into());
    }
    Ok(Some(media).filter(|json| json != "null"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn media_is_taken_without_white_space_up_to_2_kib_and_null_is_none() {
        let asked = |media: &str| {
            let json = format!(r#"{{"matchId":"m","media":{media}}}"#);
            read(&event("", [Some(&json), None])).map(|asked| asked.command)
        };
        let ring = |media: Option<&str>| Ok(Command::Ring(request::Ring { media: media.map(str::to_owned) }));
        assert_eq!(asked(r#"{ "video" : true }"#), ring(Some(r#"{"video":true}"#)));
        assert_eq!(asked("null"), ring(None));
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        assert!(asked(&text(MAX_MEDIA_BYTES)).is_ok());
        assert_eq!(asked(&text(MAX_MEDIA_BYTES + 1)), Err(Code::PayloadTooLarge.into()));
    }
}
