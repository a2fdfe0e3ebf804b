//! A stranger: asks for the matches of others, by Socket.IO and by REST, and must not be able to tell them from none at
//! all.

use std::{sync::Arc, time::Duration};

use load_test::transport::{Closed, Connection, packet::Packet};
use promises::Promise;
use tokio::time::{sleep, timeout};

use crate::crowd::{
    room::Pairing,
    world::{Phase, World},
};

/// The pause between two probes.
const PAUSE: Duration = Duration::from_millis(400);
/// Ways to ask.
const PROBES: usize = 9;
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What says nothing of the match: the system could not answer, or was asked too often.
const INCONCLUSIVE: [&str; 3] = ["UNAVAILABLE", "RATE_LIMITED", "INTERNAL"];

/// Somebody without a match.
pub(crate) struct Stranger {
    pub(crate) world: Arc<World>,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) pairings: Vec<Arc<Pairing>>,
    pub(crate) rng: fastrand::Rng,
}

impl Stranger {
    /// Probes until the crowd settles.
    pub(crate) async fn live(mut self) {
        let auth = serde_json::json!({ "token": self.token }).to_string();
        while self.world.phase() == Phase::Chatting {
            sleep(PAUSE).await;
            let world = Arc::clone(&self.world);
            let Some(gateway) = self.rng.choice(&world.gateways) else { return };
            let opening = async {
                let mut connection = Connection::open_transport(gateway, None).await.ok()?;
                connection.connect(&auth).await.ok()?;
                Some(connection)
            };
            if let Ok(Some(mut connection)) = timeout(ANSWER_LIMIT, opening).await {
                while self.world.phase() == Phase::Chatting && self.probe(&mut connection).await.is_some() {
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Asks for a match and for one that there is not; none if the connection is gone.
    async fn probe(&mut self, connection: &mut Connection) -> Option<()> {
        let rooms = self.rng.choice(&self.pairings)?.all_rooms();
        let room = self.rng.choice(rooms)?;
        // The same length, so that the answers can be compared to the byte.
        let missing = format!("{}x", &room.id[..room.id.len() - 1]);
        let probe = self.rng.usize(0..PROBES);
        let (mut answers, ids) = (Vec::new(), [&room.id, &missing]);
        for id in ids {
            let answer = match probe {
                0..4 => self.by_rest(probe, id).await?,
                _ => self.by_event(connection, probe, id).await.ok()?,
            };
            answers.push(answer.replace(id.as_str(), "<id>"));
        }
        if answers.iter().any(|answer| INCONCLUSIVE.iter().any(|code| answer.contains(code))) {
            return Some(());
        }
        let refused = answers[0].contains("MATCH_NOT_FOUND");
        let wrong = (answers[0] != answers[1] || !refused)
            .then(|| ("the answers for a foreign match and for none differ, or tell something".to_owned(), answers));
        self.world.judge_traced(Promise::Secret, &self.name, wrong);
        Some(())
    }

    async fn by_rest(&mut self, probe: usize, id: &str) -> Option<String> {
        let gateway = self.rng.choice(&self.world.gateways)?;
        let url = gateway.match_url(id) + ["", "/messages", "/milestones", "/messages"][probe];
        let request = match probe {
            3 => self.world.http.post(url).json(&serde_json::json!({ "message": "hello" })),
            _ => self.world.http.get(url),
        };
        let answer = request.bearer_auth(&self.token).timeout(ANSWER_LIMIT).send().await.ok()?;
        let status = answer.status();
        Some(format!("{status} {}", answer.text().await.ok()?))
    }

    async fn by_event(&mut self, connection: &mut Connection, probe: usize, id: &str) -> Result<String, Closed> {
        let event = match probe {
            4 => format!(r#"["join_chat","{id}"]"#),
            5 => format!(r#"["send_message",{{"matchId":"{id}","message":"hello"}}]"#),
            6 => format!(r#"["video_call_request",{{"matchId":"{id}"}}]"#),
            7 => format!(r#"["join_chat",{{"matchId":"{id}","sinceSeq":0,"keepOthers":true}}]"#),
            _ => format!(r#"["video_call_accepted",{{"matchId":"{id}"}}]"#),
        };
        connection.send(format!("421{event}")).await?;
        timeout(ANSWER_LIMIT, self.answer(connection)).await.unwrap_or(Err(Closed))
    }

    async fn answer(&self, connection: &mut Connection) -> Result<String, Closed> {
        loop {
            let text = connection.receive().await?;
            match Packet::parse(&text).map_err(|_| Closed)? {
                Packet::Ack { arguments, .. } => return Ok(arguments.to_owned()),
                Packet::Ping => connection.send("3".to_owned()).await?,
                Packet::Event { name: "server_draining" | "token_expiring", .. } | Packet::Other => {}
                Packet::Event { name, arguments } => {
                    let what = format!("a stranger was told {name}: {arguments}");
                    self.world.judge(Promise::Secret, &self.name, Some(what));
                }
                _ => return Err(Closed),
            }
        }
    }
}
