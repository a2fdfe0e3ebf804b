//! Bodies that tell which message they are of: whoever sees one knows who sent it as what, and whether it is intact.

use promises::Tag;
use serde_json::{Value, json};

/// Every so many messages of a client are objects, the others are texts.
const OBJECT_EVERY: u32 = 5;
/// Bodies differ in length, and in how many bytes a character takes.
const FILLING: &str = "naïve café – ждать 世界 “quoted\\” 🙂 and so on, until it is long enough to matter";

/// The clientId of a message: the same for all variants.
pub fn client_id(tag: Tag) -> String {
    format!("{}-{}", tag.slot, tag.index)
}

/// The body of a message.
pub fn body(tag: Tag) -> Value {
    let Tag { slot, index, variant } = tag;
    let length = (index as usize * 7 + usize::from(slot) * 11) % FILLING.chars().count();
    let filling: String = FILLING.chars().take(length).collect();
    let text = format!("{slot}.{index}.{variant} {filling}");
    if index % OBJECT_EVERY == OBJECT_EVERY - 1 { json!({ "text": text, "mood": index }) } else { Value::from(text) }
}

/// The message with this body, if the body is exactly what that message has.
pub fn tag_of(content: &Value) -> Option<Tag> {
    let text = content.as_str().or_else(|| content.get("text")?.as_str())?;
    let (name, _) = text.split_once(' ')?;
    let mut parts = name.split('.');
    let slot = parts.next()?.parse().ok()?;
    let tag = Tag { slot, index: parts.next()?.parse().ok()?, variant: parts.next()?.parse().ok()? };
    (parts.next().is_none() && body(tag) == *content).then_some(tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_tells_its_tag(slot in 0_u8..8, index in 0_u32..5_000_000, variant in 0_u8..2) {
            let tag = Tag { slot, index, variant };
            prop_assert_eq!(tag_of(&body(tag)), Some(tag));
        }
    }

    #[test]
    fn a_body_that_was_changed_tells_nothing() {
        let tag = Tag { slot: 1, index: 30, variant: 0 };
        let text = body(tag).as_str().unwrap().to_owned();
        for changed in [format!("{text}x"), text.replacen("1.30", "1.31", 1), text[..text.len() - 1].to_owned()] {
            assert_eq!(tag_of(&Value::from(changed)), None);
        }
        assert_eq!(tag_of(&json!({ "text": text })), None, "another shape");
    }
}
