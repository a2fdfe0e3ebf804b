//! Keys from a key server: fetched when a token names an unknown one, kept while the server is away.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, jwk::Jwk};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{error::AuthError, key::Key};

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// A key set is a few kilobytes.
const MAX_BYTES: usize = 256 * 1024;
/// Tokens with made-up key ids cause at most one fetch in this time.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// After a failed fetch the next one may come sooner.
const MIN_INTERVAL_FAILED: Duration = Duration::from_secs(1);
/// After this time a set is fetched again, so that keys that the server has withdrawn do not count for ever.
const MAX_AGE: Duration = Duration::from_mins(5);

/// A key server and what it said last.
#[derive(Debug)]
pub(super) struct KeyServer {
    url: Url,
    client: Client,
    keys: RwLock<Arc<KeySet>>,
    last_try: Mutex<Option<Try>>,
}

#[derive(Debug, Default)]
struct KeySet {
    keys: Vec<(Option<String>, Arc<Key>)>,
    fetched: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Try {
    at: Instant,
    succeeded: bool,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeyServer {
    /// The key server at `url`. Nothing is fetched yet.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let url: Url = url.parse().with_context(|| format!("--jwks-url {url:?} is no URL"))?;
        ensure!(matches!(url.scheme(), "http" | "https"), "--jwks-url must be http or https");
        let client = Client::builder().timeout(FETCH_TIMEOUT).build().context("cannot make an HTTP client")?;
        Ok(Self { url, client, keys: RwLock::default(), last_try: Mutex::default() })
    }

    /// The key named `kid`, or the only one of the algorithm if a token names none.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, AuthError> {
        let known = self.known();
        if let Some(key) = known.find(kid, algorithm) {
            if known.is_old() {
                // Whoever comes first looks for news; nobody else waits.
                if let Ok(mut last) = self.last_try.try_lock() {
                    self.refresh(&mut last).await;
                }
            }
            return Ok(key);
        }
        let mut last = self.last_try.lock().await;
        self.refresh(&mut last).await;
        let answered = last.is_some_and(|last| last.succeeded);
        self.known().find(kid, algorithm).ok_or(if answered {
            AuthError::Unauthenticated
        } else {
            AuthError::Undecided
        })
    }

    fn known(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the set unless that was tried a moment ago.
    async fn refresh(&self, last: &mut Option<Try>) {
        let interval = |last: Try| if last.succeeded { MIN_INTERVAL } else { MIN_INTERVAL_FAILED };
        if last.is_some_and(|last| last.at.elapsed() < interval(last)) {
            return;
        }
        let fetched = self.fetch().await;
        *last = Some(Try { at: Instant::now(), succeeded: fetched.is_ok() });
        match fetched {
            Ok(set) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the key server does not answer"),
        }
    }

    async fn fetch(&self) -> anyhow::Result<KeySet> {
        let mut response = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(body.len() + chunk.len() <= MAX_BYTES, "the key set is larger than {MAX_BYTES} bytes");
            body.extend_from_slice(&chunk);
        }
        let document: Document = serde_json::from_slice(&body).context("no JSON Web Key Set")?;
        Ok(KeySet::of(document))
    }
}

impl KeySet {
    /// The usable keys of a document. Others may be in it, which are none of our business.
    fn of(document: Document) -> Self {
        let jwks = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys = jwks.filter_map(|jwk| Some((jwk.common.key_id.clone(), Arc::new(Key::of_jwk(&jwk)?))));
        Self { keys: keys.collect(), fetched: Some(Instant::now()) }
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|(name, key)| key.algorithm() == algorithm && (kid.is_none() || name.as_deref() == kid))
            .map(|(_, key)| key.clone());
        let key = fitting.next()?;
        // Without a name there must be no choice.
        (kid.is_some() || fitting.next().is_none()).then_some(key)
    }

    fn is_old(&self) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() > MAX_AGE)
    }
}
