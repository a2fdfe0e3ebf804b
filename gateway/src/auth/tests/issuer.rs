//! Issuers of tokens with fresh keys, and a key server that publishes them.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use service_kit::Lifecycle;
use tokio_util::sync::CancellationToken;

use super::super::{AuthConfig, Authenticator};

/// Signs tokens with a key of its own.
pub(super) struct Issuer {
    pub(super) kid: Option<String>,
    pub(super) private_pem: String,
    pub(super) public_pem: String,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.algorithm)
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind} KEY-----\n{}\n-----END {kind} KEY-----\n", STANDARD.encode(der))
}

fn public(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    pem("PUBLIC", key.as_der().unwrap().as_ref())
}

impl Issuer {
    pub(super) fn rsa(kid: &str) -> Self {
        use aws_lc_rs::encoding::Pkcs8V1Der;
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let private_pem = pem("PRIVATE", private.as_ref());
        let key = EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap();
        let public_pem = public(pair.public_key());
        Self { kid: Some(kid.into()), private_pem, public_pem, algorithm: Algorithm::RS256, key }
    }

    pub(super) fn p256(kid: &str) -> Self {
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, private.as_ref()).unwrap();
        let (private_pem, public_pem) = (pem("PRIVATE", private.as_ref()), public(pair.public_key()));
        let key = EncodingKey::from_ec_pem(private_pem.as_bytes()).unwrap();
        Self { kid: Some(kid.into()), private_pem, public_pem, algorithm: Algorithm::ES256, key }
    }

    pub(super) fn ed25519(kid: &str) -> Self {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
        let (private_pem, public_pem) = (pem("PRIVATE", private.as_ref()), public(pair.public_key()));
        let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).unwrap();
        Self { kid: Some(kid.into()), private_pem, public_pem, algorithm: Algorithm::EdDSA, key }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: self.kid.clone(), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }

    pub(super) fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            // jsonwebtoken cannot. The raw key ends the SubjectPublicKeyInfo (RFC 8410, section 4).
            let der = STANDARD.decode(self.public_pem.lines().nth(1).unwrap()).unwrap();
            let raw = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
            return json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": raw });
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id.clone_from(&self.kid);
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn authenticator_by_pem(&self) -> Authenticator {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("public.pem");
        std::fs::write(&path, &self.public_pem).unwrap();
        Authenticator::new(&AuthConfig { jwt_public_key: Some(path), ..AuthConfig::default() }).unwrap()
    }
}

/// Publishes a key set over HTTP.
pub(super) struct KeyServer {
    url: String,
    shared: Arc<Shared>,
    stopped: CancellationToken,
    _lifecycle: Lifecycle,
}

#[derive(Default)]
struct Shared {
    /// What is answered; failing without.
    document: Mutex<Option<String>>,
    requests: AtomicUsize,
}

impl KeyServer {
    pub(super) async fn start(keys: &[Value]) -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new().route("/keys", get(document)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (lifecycle, stopped) = (Lifecycle::new(), CancellationToken::new());
        let until_stopped = stopped.clone();
        lifecycle.spawn(async move {
            until_stopped.run_until_cancelled(async { axum::serve(listener, router).await.unwrap() }).await;
        });
        let server = Self { url, shared, stopped, _lifecycle: lifecycle };
        server.publish(keys);
        server
    }

    pub(super) fn publish(&self, keys: &[Value]) {
        *self.shared.document.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    /// Answers with an error from now on.
    pub(super) fn fail(&self) {
        *self.shared.document.lock().unwrap() = None;
    }

    /// Takes no new connection from now on.
    pub(super) fn stop(&mut self) {
        self.stopped.cancel();
    }

    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub(super) fn authenticator(&self) -> Authenticator {
        Authenticator::new(&AuthConfig { jwks_url: Some(self.url.clone()), ..super::demanding() }).unwrap()
    }
}

async fn document(State(shared): State<Arc<Shared>>) -> Result<String, StatusCode> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    shared.document.lock().unwrap().clone().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}
