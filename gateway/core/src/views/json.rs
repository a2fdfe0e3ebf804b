//! JSON of views, and JSON that is passed on.

use serde::Serialize;
use serde_json::value::RawValue;

/// Room for most views.
const USUAL_BYTES: usize = 384;

/// A view as JSON.
pub fn to_json(view: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    // Views hold nothing that cannot be serialized, and JSON is text.
    serde_json::to_writer(&mut json, view).ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_default()
}

/// JSON that a service passed on. It was checked when it came in; what is none after all shows as `null`.
pub fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
