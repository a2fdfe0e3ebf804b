//! An event as the application gets it.

use super::json;
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// An event (or the answer to one of ours) as it arrived. Everything borrowed is valid during the call only.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The event's name, unescaped. Empty for an ack.
    pub name: &'a str,
    /// The arguments after the name.
    pub args: Args<'a>,
    /// The binary attachments: argument values `{"_placeholder":true,"num":i}` stand for `attachments[i]`. Each
    /// placeholder has been checked to name one and none is named twice.
    pub attachments: Vec<Bytes>,
    /// How many attachments the packet announces. None of them is in `attachments` if the application takes none.
    pub announced: usize,
    /// The ack id, if the client waits for an answer: at most one [`super::Emitter::ack`] should follow.
    pub ack: Option<u64>,
    /// The JSON nests deeper than [`super::MAX_JSON_DEPTH`]: answer `INVALID_PAYLOAD` and do not decode it.
    pub too_deep: bool,
    /// Some string is no Unicode text (a lone surrogate escape such as `"\ud800"`), so `serde_json` cannot decode
    /// it into strings: answer `INVALID_PAYLOAD`.
    pub invalid_text: bool,
}

impl Event<'_> {
    /// Whether the arguments cannot be taken as they are: too deep, or not Unicode.
    pub fn is_invalid(&self) -> bool {
        self.too_deep || self.invalid_text
    }
}

/// Arguments as raw, already validated JSON: zero or more values, separated by commas, without the array's brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    /// Arguments from raw JSON as [`raw`](Self::raw) gives it; it has to be valid.
    pub fn from_raw(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The raw JSON of all arguments, e.g. `"match-1",{"a":1}`: the form that the emitting methods take back.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// The arguments one after the other, each as the raw JSON of its value.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (value, after) = json::split_value(rest)?;
            rest = after.strip_prefix(',').unwrap_or_default();
            Some(value)
        })
    }

    /// The raw JSON of argument `index`.
    pub fn get(self, index: usize) -> Option<&'a str> {
        self.iter().nth(index)
    }

    /// Decodes argument `index`; a missing one decodes like `null`.
    pub fn decode<T: DeserializeOwned>(self, index: usize) -> serde_json::Result<T> {
        serde_json::from_str(self.get(index).unwrap_or("null"))
    }
}
