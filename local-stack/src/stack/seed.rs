//! The match that a newcomer tries first.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::Manifest;
use crate::{
    http::{self, Request},
    note::note,
    token,
};

const PATH: &str = "/api/v1/matches/demo";
const BODY: &str = r#"{"members":["alice","bob"]}"#;
const WITHIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// Creates the match `demo` of `alice` and `bob` through the first gateway, unless it is there.
pub(super) async fn demo_match(manifest: &Manifest) -> Result<()> {
    let Some(gateway) = manifest.gateways.first() else { return Ok(()) };
    let token = token::service_token(&manifest.jwt_secret)?;
    let request = Request { method: "PUT", path: PATH, token: &token, body: BODY };
    let deadline = Instant::now() + WITHIN;
    loop {
        match http::send(gateway.port, &request).await {
            Ok((200..=299, _)) => return Ok(()),
            Ok((409, _)) => {
                note("the match demo was closed or has other members: create one of your own to try the stack");
                return Ok(());
            }
            // Retryable by contract.
            Ok((503, _)) | Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
            Ok((status, body)) => bail!("{} refuses to create the match demo: {status} {body}", gateway.name),
            Err(error) => return Err(error.context("cannot create the match demo")),
        }
    }
}
