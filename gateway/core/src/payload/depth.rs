//! How deep JSON nests, found without parsing it, so that a hostile document costs nothing.

/// Deepest nesting of arrays and objects in anything that a client sends.
pub const MAX_JSON_DEPTH: usize = 32;

/// Whether `json` nests deeper than [`MAX_JSON_DEPTH`]. Says nothing useful of text that is no JSON.
pub fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return true;
        }
    }
    false
}
