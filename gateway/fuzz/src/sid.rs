//! Sealed session ids: nothing that our keys did not seal has an owner, and nothing that they sealed makes trouble.

use std::{net::SocketAddr, sync::LazyLock};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::seal::Sealer;
use crate::engineio::sid_of;

const SECRET: &str = "fuzz";
const RANDOM_BYTES: usize = 12;
const SEAL_BYTES: usize = 12;

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let keys = SECRET.parse().expect("a secret is given");
    Sealer::new(([10, 1, 2, 3], 5000).into(), keys)
});
static KEY: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));

pub fn run(data: &[u8]) {
    open_what_a_client_sent(data);
    open_what_was_sealed(data);
}

fn open_what_a_client_sent(data: &[u8]) {
    let Some(sid) = std::str::from_utf8(data).ok().and_then(sid_of) else { return };
    if SEALER.owner(sid).is_none() {
        return;
    }
    // Only one text is the id, and it is sealed.
    let bytes = URL_SAFE_NO_PAD.decode(sid).expect("an id is base64");
    assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), sid);
    let (content, _) = bytes.split_at(bytes.len() - SEAL_BYTES);
    assert_eq!(seal(content), sid);
}

fn open_what_was_sealed(content: &[u8]) {
    let owner = SEALER.owner(&seal(content));
    let address = content.len().checked_sub(RANDOM_BYTES).map(|end| &content[..end]);
    let expected: Option<SocketAddr> = match address {
        Some(&[a, b, c, d, high, low]) => Some(([a, b, c, d], u16::from_be_bytes([high, low])).into()),
        Some(address) if address.len() == 18 => {
            let ip: [u8; 16] = address[..16].try_into().expect("16 bytes");
            Some((ip, u16::from_be_bytes([address[16], address[17]])).into())
        }
        _ => None,
    };
    assert_eq!(owner, expected);
}

fn seal(content: &[u8]) -> String {
    let seal = hmac::sign(&KEY, content);
    URL_SAFE_NO_PAD.encode([content, &seal.as_ref()[..SEAL_BYTES]].concat())
}
