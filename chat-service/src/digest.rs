//! A digest of a content tells later whether another content is the same, without keeping the first.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256.
pub type Digest = [u8; 32];

/// The digest of these parts. Parts that are divided otherwise have another one.
pub fn digest(parts: &[&str]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_have_the_same_digest_and_others_another() {
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&[""]), digest(&[]));
    }
}
