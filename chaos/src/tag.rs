//! Names of messages that their bodies tell: whoever sees a body knows who sent it as what, and whether it is intact.

use serde_json::{Value, json};

/// Every so many messages of a client are objects, the others are texts.
const OBJECT_EVERY: u32 = 5;
/// Bodies differ in length, and in how many bytes a character takes.
const FILLING: &str = "naïve café – ждать 世界 “quoted\\” 🙂 and so on, until it is long enough to matter";

/// A message: who sent it, as which of its own, with which of several bodies under one clientId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// The client's place in its match.
    pub slot: u8,
    /// Counts a client's messages in a match from 0.
    pub index: u32,
    /// 0 is the message; others are sent under its clientId to be refused.
    pub variant: u8,
}

impl Tag {
    /// The clientId: the same for all variants.
    pub fn client_id(self) -> String {
        format!("{}-{}", self.slot, self.index)
    }

    /// The body: the content that the tag's message has.
    pub fn body(self) -> Value {
        let Self { slot, index, variant } = self;
        let length = (index as usize * 7 + usize::from(slot) * 11) % FILLING.chars().count();
        let filling: String = FILLING.chars().take(length).collect();
        let text = format!("{slot}.{index}.{variant} {filling}");
        if index % OBJECT_EVERY == OBJECT_EVERY - 1 {
            json!({ "text": text, "mood": index })
        } else {
            Value::from(text)
        }
    }

    /// The tag of a body, if the body is exactly what that tag's message has.
    pub fn of_body(body: &Value) -> Option<Self> {
        let text = body.as_str().or_else(|| body.get("text")?.as_str())?;
        let (name, _) = text.split_once(' ')?;
        let mut parts = name.split('.');
        let slot = parts.next()?.parse().ok()?;
        let tag = Self { slot, index: parts.next()?.parse().ok()?, variant: parts.next()?.parse().ok()? };
        (parts.next().is_none() && tag.body() == *body).then_some(tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_tells_its_tag(slot in 0_u8..8, index in 0_u32..5_000_000, variant in 0_u8..2) {
            let tag = Tag { slot, index, variant };
            prop_assert_eq!(Tag::of_body(&tag.body()), Some(tag));
        }
    }

    #[test]
    fn a_body_that_was_changed_tells_nothing() {
        let tag = Tag { slot: 1, index: 30, variant: 0 };
        let text = tag.body().as_str().unwrap().to_owned();
        for changed in [format!("{text}x"), text.replacen("1.30", "1.31", 1), text[..text.len() - 1].to_owned()] {
            assert_eq!(Tag::of_body(&Value::from(changed)), None);
        }
        assert_eq!(Tag::of_body(&json!({ "text": text })), None, "another shape");
    }
}
