//! One key and the one algorithm that it is used with, so that a token cannot choose another.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};

use super::{claims::Claims, config::MIN_SECRET_BYTES, error::AuthError};

/// The length of an uncompressed point of P-256 (SEC 1, section 2.3.3).
const P256_POINT_BYTES: usize = 65;

/// A key that verifies tokens.
#[derive(Debug, Clone)]
pub(super) struct Key {
    verifying: DecodingKey,
    algorithm: Algorithm,
    validation: Validation,
}

impl Key {
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        // The claims are judged by `Claims`, with a clock from outside.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { verifying: key, algorithm, validation }
    }

    /// A shared secret, for HS256.
    pub(super) fn of_secret(secret: &str) -> Self {
        if secret.len() < MIN_SECRET_BYTES {
            tracing::warn!("a secret of tokens has fewer than {MIN_SECRET_BYTES} bytes and may be guessed");
        }
        Self::new(DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
    }

    /// The public key in a PEM file.
    pub(super) fn of_pem_file(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let pem = fs::read(path).with_context(|| format!("cannot read the public key {shown}"))?;
        Self::of_pem(&pem).with_context(|| format!("--jwt-public-key {shown}"))
    }

    fn of_pem(pem: &[u8]) -> anyhow::Result<Self> {
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY") {
            bail!("this is a private key, which the gateway must not have: give the public one");
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            return Ok(Self::new(key, Algorithm::RS256));
        }
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self::new(key, Algorithm::EdDSA));
        }
        match DecodingKey::from_ec_pem(pem) {
            Ok(key) if key.try_get_as_bytes().is_ok_and(|point| point.len() == P256_POINT_BYTES) => {
                Ok(Self::new(key, Algorithm::ES256))
            }
            _ => bail!("not a public key in PEM of the kind RSA, P-256 or Ed25519"),
        }
    }

    /// A key of a key set; `None` if it is not for signatures, or of an algorithm that we do not take, as secrets are.
    pub(super) fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let (algorithm, name) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let is_for_it = jwk.common.key_algorithm.is_none_or(|named| named == name);
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
        if !is_for_it || !is_for_signatures {
            return None;
        }
        Some(Self::new(DecodingKey::from_jwk(jwk).ok()?, algorithm))
    }

    /// The algorithm that the key is used with.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The claims of a token that this key signed.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        let token =
            decode::<Claims>(token, &self.verifying, &self.validation).map_err(|_| AuthError::Unauthenticated)?;
        // An extension that must be understood (RFC 7515, section 4.1.11): we know none.
        if token.header.crit.is_some() { Err(AuthError::Unauthenticated) } else { Ok(token.claims) }
    }
}
