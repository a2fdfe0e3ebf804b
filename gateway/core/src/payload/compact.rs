//! JSON without the white space between its tokens.

/// The same JSON without insignificant white space (RFC 8259, section 2). `json` must be legal.
pub fn compact(json: &str) -> String {
    let mut compacted = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        compacted.push(character);
    }
    compacted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn white_space_between_tokens_goes_and_within_strings_stays() {
        assert_eq!(
            compact("{ \"a b\" :\t[ 1.0 ,\r\n \" \\\" \\\\\" , \"é \" ] }"),
            "{\"a b\":[1.0,\" \\\" \\\\\",\"é \"]}"
        );
    }

    proptest! {
        #[test]
        fn pretty_json_becomes_what_it_was_before(texts in prop::collection::vec("\\PC{0,20}|[ \"\\\\\n]{0,6}", 0..8)) {
            let value = Value::from(texts);
            prop_assert_eq!(compact(&serde_json::to_string_pretty(&value).unwrap()), value.to_string());
        }
    }
}
