//! Creates matches through REST, as the app server does, and sends each pair on to another one when theirs is long enough.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use super::{
    room::{Pairing, Room},
    world::{Phase, World},
};

/// How often it is looked which matches are long enough.
const POLL: Duration = Duration::from_millis(200);
/// How often a match is asked for at the start before that fails.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(200);
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Creates the matches of a crowd.
pub(super) struct Matchmaker {
    world: Arc<World>,
    pairings: Vec<Arc<Pairing>>,
    token: String,
}

impl Matchmaker {
    pub(super) fn new(world: &Arc<World>, pairings: &[Arc<Pairing>], token: String) -> Self {
        Self { world: Arc::clone(world), pairings: pairings.to_vec(), token }
    }

    /// Creates every pair's first match.
    ///
    /// # Errors
    /// When one cannot be created.
    pub(super) async fn create_first(&self) -> anyhow::Result<()> {
        for pairing in &self.pairings {
            let room = pairing.current().context("a pairing has a match")?;
            let mut attempt = 0;
            while !self.create(&room, attempt).await? {
                attempt += 1;
                ensure!(attempt < ATTEMPTS, "the match {} cannot be created", room.id);
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Sends pairs on until the crowd settles.
    pub(super) async fn run(self) {
        let mut attempt = 0;
        while self.world.phase() == Phase::Chatting {
            sleep(POLL).await;
            for pairing in &self.pairings {
                let is_long = |room: &Arc<Room>| room.chat().highest() >= self.world.match_length;
                if !pairing.current().is_some_and(|room| is_long(&room)) {
                    continue;
                }
                attempt += 1;
                let room = pairing.next(&self.world);
                // Whoever cannot be reached is asked again at the next look.
                if self.create(&room, attempt).await.is_ok_and(|created| created) {
                    pairing.open(room);
                }
            }
        }
    }

    /// Whether the match is there; an error if it never will be.
    async fn create(&self, room: &Room, attempt: usize) -> anyhow::Result<bool> {
        let gateway = &self.world.gateways[attempt % self.world.gateways.len()];
        let url = format!("{}/api/v1/matches/{}", gateway.base_url, room.id);
        let body = json!({ "members": room.members });
        let request = self.world.http.put(&url).bearer_auth(&self.token).timeout(CALL_LIMIT).json(&body);
        let Ok(answer) = request.send().await else { return Ok(false) };
        let status = answer.status();
        let may_succeed = status.is_success() || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        ensure!(may_succeed, "PUT {url}: {status}");
        Ok(status.is_success())
    }
}
