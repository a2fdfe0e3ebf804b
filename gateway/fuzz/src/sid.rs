//! Sealed session ids: nothing that our keys did not seal has an owner, and nothing that they sealed makes trouble.

use std::{net::SocketAddr, sync::LazyLock};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::seal::Sealer;
use crate::engineio::sid_of;

const SECRET: &str = "a secret of the fuzz target's own";
const NOW_MS: i64 = 1_767_225_600_000;
const TIME_BYTES: usize = 8;

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let keys = SECRET.parse().expect("a secret is given");
    Sealer::new(([10, 1, 2, 3], 5000).into(), keys)
});
static KEY: LazyLock<LessSafeKey> = LazyLock::new(|| {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(SECRET.as_bytes());
    let key = extracted.expand(&[b"session ids, version 2"], &AES_256_GCM_SIV).expect("it is as long as it should be");
    LessSafeKey::new(UnboundKey::from(key))
});

pub fn run(data: &[u8]) {
    open_what_a_client_sent(data);
    open_what_was_sealed(data);
}

fn open_what_a_client_sent(data: &[u8]) {
    let Some(sid) = std::str::from_utf8(data).ok().and_then(sid_of) else { return };
    if SEALER.owner(sid, NOW_MS).is_none() {
        return;
    }
    // Only one text is the id, and it is sealed.
    let bytes = URL_SAFE_NO_PAD.decode(sid).expect("an id is base64");
    assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), sid);
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().expect("a nonce is there");
    let mut content = sealed.to_vec();
    let opened = KEY.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut content);
    assert_eq!(seal(opened.expect("it is sealed"), *nonce), sid);
}

fn open_what_was_sealed(content: &[u8]) {
    let owner = SEALER.owner(&seal(content, [7; NONCE_LEN]), NOW_MS);
    let timely = content.split_first_chunk::<TIME_BYTES>().filter(|(made_ms, _)| {
        let age_ms = NOW_MS.saturating_sub(i64::from_be_bytes(**made_ms));
        (-300_000..=86_400_000).contains(&age_ms)
    });
    let expected: Option<SocketAddr> = match timely.map(|(_, address)| address) {
        Some(&[a, b, c, d, high, low]) => Some(([a, b, c, d], u16::from_be_bytes([high, low])).into()),
        Some(address) if address.len() == 18 => {
            let ip: [u8; 16] = address[..16].try_into().expect("16 bytes");
            Some((ip, u16::from_be_bytes([address[16], address[17]])).into())
        }
        _ => None,
    };
    assert_eq!(owner, expected);
}

fn seal(content: &[u8], nonce: [u8; NONCE_LEN]) -> String {
    let mut sealed = content.to_vec();
    KEY.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).expect("it is short");
    URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat())
}
