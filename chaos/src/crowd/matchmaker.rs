//! The app server: creates matches through REST, sends each pair on to another one when theirs is long enough, and
//! closes some of those that are left behind.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use load_test::matches::is_retryable;
use promises::{APP_SERVER, Event, Promise};
use reqwest::StatusCode;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    room::{Pairing, Room},
    world::{Phase, World},
};

/// How often it is looked which matches are long enough.
const POLL: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(200);
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// One in so many of the matches that are left behind is closed.
const CLOSED_ONE_IN: u8 = 2;
/// A match that is to be closed is closed within this time.
const LONGEST_LIFE: Duration = Duration::from_secs(2);

/// Creates and closes the matches of a crowd.
pub(super) struct Matchmaker {
    world: Arc<World>,
    pairings: Vec<Arc<Pairing>>,
    token: Arc<str>,
    rng: fastrand::Rng,
}

impl Matchmaker {
    pub(super) fn new(world: &Arc<World>, pairings: &[Arc<Pairing>], token: String) -> Self {
        let rng = fastrand::Rng::with_seed(world.seed ^ 0xC105_ED00);
        Self { world: Arc::clone(world), pairings: pairings.to_vec(), token: token.into(), rng }
    }

    /// Sends pairs on until the crowd settles; then every close is seen through.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        let mut closing = JoinSet::new();
        while self.world.phase() == Phase::Chatting {
            sleep(POLL).await;
            for pairing in self.pairings.clone() {
                let is_long = |room: &Arc<Room>| room.chat().known().highest >= self.world.match_length;
                let Some(last) = pairing.current().filter(is_long) else { continue };
                attempt += 1;
                let room = pairing.next(&self.world);
                let created = self.create(&room, attempt).await;
                let wrong = created.as_ref().err().map(|error| format!("{error:#}"));
                self.world.judge(Promise::Answered, &room.id, wrong);
                // Whoever cannot be reached is asked again at the next look.
                if !created.is_ok_and(|created| created) {
                    continue;
                }
                // That took its time: once the crowd settles nothing new begins.
                if self.world.phase() != Phase::Chatting {
                    break;
                }
                if self.rng.u8(..CLOSED_ONE_IN) == 0 {
                    // Before anybody moves on: who has it open stays to be told.
                    last.note(&self.world, APP_SERVER, Event::CloseAsked);
                    closing.spawn(self.close(last, attempt));
                }
                pairing.open(room);
            }
        }
        while closing.join_next().await.is_some() {}
    }

    /// Closes a match, while some still send to it.
    fn close(&mut self, room: Arc<Room>, mut attempt: usize) -> impl Future<Output = ()> + use<> {
        let (world, token) = (Arc::clone(&self.world), Arc::clone(&self.token));
        let pause = LONGEST_LIFE.mul_f64(self.rng.f64());
        async move {
            sleep(pause).await;
            while world.phase() != Phase::Over {
                attempt += 1;
                let url = url(&world, &room, attempt);
                let request = world.http.delete(&url).bearer_auth(&token).timeout(CALL_LIMIT);
                match request.send().await.map(|answer| answer.status()) {
                    Ok(StatusCode::NO_CONTENT) => return room.note(&world, APP_SERVER, Event::Closed),
                    Ok(status) if !is_retryable(status) => {
                        return world.judge(Promise::Answered, &room.id, Some(format!("DELETE {url}: {status}")));
                    }
                    _ => sleep(PAUSE).await,
                }
            }
        }
    }

    /// Whether the match is there; an error if it never will be.
    async fn create(&self, room: &Room, attempt: usize) -> anyhow::Result<bool> {
        let url = url(&self.world, room, attempt);
        let body = json!({ "members": room.members });
        let request = self.world.http.put(&url).bearer_auth(&self.token).timeout(CALL_LIMIT).json(&body);
        let Ok(answer) = request.send().await else { return Ok(false) };
        let status = answer.status();
        ensure!(status.is_success() || is_retryable(status), "PUT {url}: {status}");
        Ok(status.is_success())
    }
}

fn url(world: &World, room: &Room, attempt: usize) -> String {
    world.gateways[attempt % world.gateways.len()].match_url(&room.id)
}

#[cfg(test)]
mod tests {
    use load_test::transport::Endpoint;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::watch,
    };

    use super::*;
    use crate::crowd::roster;

    /// A gateway that answers everything with 409.
    async fn refuse(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    }

    #[tokio::test]
    async fn a_match_that_is_refused_for_good_is_a_violation() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateways = Endpoint::resolve_all(&[url]).await.unwrap();
        let (phase, changes) = watch::channel(Phase::Chatting);
        let world = Arc::new(World { match_length: 0, ..World::new(gateways, changes) });
        let pairing = Arc::new(Pairing::new(&world, roster::couples(8).swap_remove(0), 0));
        let matchmaker = Matchmaker::new(&world, &[Arc::clone(&pairing)], String::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(refuse(listener));
        tasks.spawn(matchmaker.run());
        while world.progress().violations == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        phase.send(Phase::Over).unwrap();
        assert!(world.tally().of(Promise::Answered).violations > 0);
        assert_eq!(pairing.generation(), 0);
    }
}
