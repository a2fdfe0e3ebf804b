//! Creates the matches of a run through REST, as the app server does.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::transport::Endpoint;

/// Requests in flight at a time.
const CONCURRENCY: usize = 16;
/// How often a request that may succeed later is repeated.
const ATTEMPTS: u32 = 8;

/// Creates matches, each with its id and its members, spread over the gateways. If one cannot be created, the first
/// such answer is the error.
pub async fn create(
    matches: impl IntoIterator<Item = (String, [String; 2])>,
    gateways: &[Arc<Endpoint>],
    token: &str,
) -> anyhow::Result<()> {
    let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
    let mut requests = JoinSet::new();
    for ((match_id, members), gateway) in matches.into_iter().zip(gateways.iter().cycle()) {
        if requests.len() >= CONCURRENCY
            && let Some(done) = requests.join_next().await
        {
            done??;
        }
        requests.spawn(put(client.clone(), gateway.match_url(&match_id), token.to_owned(), members));
    }
    while let Some(done) = requests.join_next().await {
        done??;
    }
    Ok(())
}

async fn put(client: Client, url: String, token: String, members: [String; 2]) -> anyhow::Result<()> {
    let body = json!({ "members": members });
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

/// Whether another try may bring another answer.
pub fn is_retryable(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}
