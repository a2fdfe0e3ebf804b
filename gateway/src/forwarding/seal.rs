//! Session ids that name their owner, in a form that only gateways can make and read.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf, rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// As long as the keys that are derived from it, or it is the weaker part. One id is enough to try out secrets without
/// a gateway.
const MIN_SECRET_BYTES: usize = 32;
/// After this time an id is not passed on any more: its session is long gone, and its owner's address may be somebody
/// else's. A session that polls for longer goes on at its owner, and begins anew elsewhere.
const PASSED_ON_FOR: Duration = Duration::from_hours(24);
/// How far the clocks of two gateways may differ.
const LEEWAY: Duration = Duration::from_mins(5);
/// What the keys are derived for.
const PURPOSE: &[u8] = b"session ids, version 2";
const TIME_BYTES: usize = 8;
const PORT_BYTES: usize = 2;

/// The secrets of the gateways, shared by all of them. The first one seals; all of them are believed, so that a new one
/// can take over without an end of the sessions.
#[derive(Clone)]
pub struct SealKeys(Arc<[LessSafeKey]>);

impl FromStr for SealKeys {
    type Err = &'static str;

    /// Reads secrets separated by commas, each of at least 32 bytes.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let secrets: Vec<_> = list.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        if secrets.is_empty() {
            return Err("at least one secret is needed");
        }
        if secrets.iter().any(|secret| secret.len() < MIN_SECRET_BYTES) {
            return Err("each secret needs at least 32 bytes, for instance from `openssl rand -base64 32`");
        }
        let keys = secrets.into_iter().map(|secret| derive(secret.as_bytes())).collect::<Result<_, _>>();
        keys.map(Self).map_err(|Unspecified| "no key can be derived")
    }
}

impl SealKeys {
    /// A key of this process alone: no other gateway can then take its sessions' requests.
    pub fn random() -> io::Result<Self> {
        let mut secret = [0; MIN_SECRET_BYTES];
        rand::fill(&mut secret).and_then(|()| derive(&secret)).map(|key| Self([key].into())).map_err(no_randomness)
    }
}

impl fmt::Debug for SealKeys {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// The key that a secret stands for (HKDF, RFC 5869).
fn derive(secret: &[u8]) -> Result<LessSafeKey, Unspecified> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let key = extracted.expand(&[PURPOSE], &AES_256_GCM_SIV)?;
    Ok(LessSafeKey::new(UnboundKey::from(key)))
}

fn no_randomness(_: Unspecified) -> io::Error {
    io::Error::other("no randomness")
}

/// Seals the ids of this gateway's sessions, and opens those of all.
#[derive(Debug)]
pub struct Sealer {
    address: SocketAddr,
    keys: SealKeys,
}

impl Sealer {
    /// A sealer of the gateway that the others reach at `address`.
    pub fn new(address: SocketAddr, keys: SealKeys) -> Self {
        Self { address, keys }
    }

    /// Where the other gateways reach this one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A session id that is made at a Unix time in milliseconds: base64url of a random nonce, and the time and the
    /// address, encrypted and sealed with AES-256-GCM-SIV (RFC 8452).
    pub fn seal(&self, now_ms: i64) -> io::Result<Box<str>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(no_randomness)?;
        let mut content = now_ms.to_be_bytes().to_vec();
        push_address(&mut content, self.address);
        let key = self.keys.0.first().ok_or_else(|| io::Error::other("no key"))?;
        let sealed = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut content);
        sealed.map_err(|_| io::Error::other("it cannot be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce, content.as_slice()].concat()).into())
    }

    /// The gateway that made a session id; `None` if none of ours did, or not within a day before `now_ms`.
    pub fn owner(&self, id: &str, now_ms: i64) -> Option<SocketAddr> {
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let content = self.keys.0.iter().find_map(|key| open(key, *nonce, sealed))?;
        let (made_ms, address) = content.split_first_chunk::<TIME_BYTES>()?;
        let age_ms = now_ms.saturating_sub(i64::from_be_bytes(*made_ms));
        let is_timely = (-ms(LEEWAY)..=ms(PASSED_ON_FOR)).contains(&age_ms);
        is_timely.then(|| read_address(address))?
    }
}

fn open(key: &LessSafeKey, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut content = sealed.to_vec();
    let length = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut content).ok()?.len();
    content.truncate(length);
    Some(content)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn push_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes.extend(address.port().to_be_bytes());
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(PORT_BYTES)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    let ip = match ip.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const NOW_MS: i64 = 1_767_225_600_000;

    /// A secret of sufficient length.
    fn long(name: &str) -> String {
        name.repeat(MIN_SECRET_BYTES)
    }

    fn sealer(address: &str, names: &[&str]) -> Sealer {
        let secrets: Vec<_> = names.iter().map(|name| long(name)).collect();
        Sealer::new(address.parse().unwrap(), secrets.join(",").parse().unwrap())
    }

    #[test]
    fn every_gateway_with_the_secret_knows_the_owner() {
        for address in ["10.1.2.3:5000", "[fd00::7]:5000"] {
            let id = sealer(address, &["one"]).seal(NOW_MS).unwrap();
            assert_eq!(sealer("10.9.9.9:1", &["one"]).owner(&id, NOW_MS), Some(address.parse().unwrap()));
            assert!(id.len() <= 72 && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'), "{id}");
        }
    }

    /// Made by another implementation of HKDF and AES-256-GCM-SIV. During a rolling update gateways of two versions
    /// read each other's ids.
    #[test]
    fn the_form_of_an_id_stays() {
        let keys = "a secret of the fuzz target's own".parse().unwrap();
        let gateway = Sealer::new("10.1.2.3:5000".parse().unwrap(), keys);
        let ids = [
            ("AAECAwQFBgcICQoL-aHYUq1C2lK0Img2R-slV0iy6fuYgHylmqG39_dC", "10.9.9.9:5000"),
            ("AAECAwQFBgcICQoLUxYFQQRECUX_6CK0mjRcs9BIsSVpODzIIIZZZIjeRaXMzZi-oh7xSwpa", "[fd00::7]:5000"),
        ];
        for (id, owner) in ids {
            assert_eq!(gateway.owner(id, NOW_MS), Some(owner.parse().unwrap()), "{owner}");
        }
    }

    #[test]
    fn an_id_tells_nobody_else_the_address() {
        let gateway = sealer("10.1.2.3:5000", &["one"]);
        let ids: HashSet<_> = (0..100).map(|_| gateway.seal(NOW_MS).unwrap()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            let bytes = URL_SAFE_NO_PAD.decode(&*id).unwrap();
            assert!(!bytes.windows(4).any(|window| window == [10, 1, 2, 3]), "{id}");
        }
    }

    #[test]
    fn an_id_that_was_changed_anywhere_is_nobodys() {
        let gateway = sealer("10.1.2.3:5000", &["one"]);
        let id = gateway.seal(NOW_MS).unwrap();
        for index in 0..id.len() {
            let mut forged = id.as_bytes().to_vec();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(gateway.owner(std::str::from_utf8(&forged).unwrap(), NOW_MS), None, "{index}");
            assert_eq!(gateway.owner(&id[..index], NOW_MS), None, "{index}");
        }
        assert_eq!(sealer("10.1.2.3:5000", &["another"]).owner(&id, NOW_MS), None);
    }

    #[test]
    fn an_id_is_passed_on_for_a_day() {
        let gateway = sealer("10.1.2.3:5000", &["one"]);
        let id = gateway.seal(NOW_MS).unwrap();
        let day_ms = ms(PASSED_ON_FOR);
        for (after_ms, is_passed_on) in [(-300_001, false), (-300_000, true), (day_ms, true), (day_ms + 1, false)] {
            assert_eq!(gateway.owner(&id, NOW_MS + after_ms).is_some(), is_passed_on, "{after_ms}");
        }
    }

    #[test]
    fn a_new_key_takes_over_without_an_end_of_the_sessions() {
        let old = sealer("10.1.2.3:5000", &["old"]).seal(NOW_MS).unwrap();
        let both = sealer("10.9.9.9:1", &["new", "old"]);
        assert!(both.owner(&old, NOW_MS).is_some());
        let new = both.seal(NOW_MS).unwrap();
        assert!(sealer("10.1.2.3:5000", &["old"]).owner(&new, NOW_MS).is_none());
        assert!(sealer("10.1.2.3:5000", &["old", "new"]).owner(&new, NOW_MS).is_some());
    }

    #[test]
    fn a_secret_that_may_be_guessed_is_refused() {
        let [long, short] = [MIN_SECRET_BYTES, MIN_SECRET_BYTES - 1].map(|length| "s".repeat(length));
        for list in ["changeme", "", " , ", &short, &format!("{long},{short}"), &format!("  {short}  ")] {
            let refusal = list.parse::<SealKeys>().unwrap_err();
            assert!(!list.contains("changeme") || refusal.contains("openssl"), "{refusal}");
        }
        assert_eq!(format!("{:?}", format!(" {long}, {long},").parse::<SealKeys>().unwrap()), "2 keys");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_open(text in ".{0,80}") {
            prop_assert_eq!(sealer("10.1.2.3:5000", &["one"]).owner(&text, NOW_MS), None);
        }
    }
}
