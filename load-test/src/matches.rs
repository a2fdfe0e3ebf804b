//! Creates the matches of a run through REST, as the app server does.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    identity::{Pair, Side},
    transport::Endpoint,
};

/// Requests in flight at a time.
const CONCURRENCY: usize = 16;
/// How often a request that may succeed later is repeated.
const ATTEMPTS: u32 = 8;

/// Creates every pair's match, spread over the gateways.
///
/// # Errors
/// If a match cannot be created: the first such answer.
pub async fn create(pairs: &[Arc<Pair>], gateways: &[Endpoint], token: &str) -> anyhow::Result<()> {
    let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
    let mut requests = JoinSet::new();
    for (pair, gateway) in pairs.iter().zip(gateways.iter().cycle()) {
        if requests.len() >= CONCURRENCY
            && let Some(done) = requests.join_next().await
        {
            done??;
        }
        let url = format!("{}/api/v1/matches/{}", gateway.base_url, pair.match_id);
        requests.spawn(put(client.clone(), url, token.to_owned(), Arc::clone(pair)));
    }
    while let Some(done) = requests.join_next().await {
        done??;
    }
    Ok(())
}

async fn put(client: Client, url: String, token: String, pair: Arc<Pair>) -> anyhow::Result<()> {
    let body = json!({ "members": Side::BOTH.map(|side| pair.user(side)) });
    for attempt in 0..ATTEMPTS {
        let sent = client.put(&url).bearer_auth(&token).json(&body).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if !is_retryable(answer.status()) => {
                let status = answer.status();
                bail!("PUT {url}: {status} {}", answer.text().await.unwrap_or_default());
            }
            Err(error) if attempt + 1 == ATTEMPTS => return Err(error).with_context(|| format!("PUT {url}")),
            _ => sleep(Duration::from_millis(100 << attempt.min(4))).await,
        }
    }
    bail!("PUT {url}: still refused after {ATTEMPTS} attempts")
}

fn is_retryable(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}
