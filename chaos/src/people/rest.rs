//! What a user does by REST: saving messages, reading pages. Each call goes through a gateway of its own choice.

use std::{sync::Arc, time::Duration};

use promises::{Event, Promise, Route, Tag, end_of_page};
use proto::Code;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{seat, wire};
use crate::{
    body::{body, client_id},
    crowd::{
        room::Room,
        world::{Phase, World},
    },
};

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// A call that a user makes beside its socket.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) room: Arc<Room>,
    /// The caller's seat.
    pub(super) key: u32,
    pub(super) slot: u8,
    pub(super) token: Arc<str>,
    /// Through which gateway, at first.
    pub(super) gateway: usize,
    pub(super) what: What,
}

/// What is called for.
#[derive(Debug)]
pub(super) enum What {
    /// Saves a message that was noted as emitted already.
    Save {
        tag: Tag,
        /// In the name of this socket.
        socket_id: Option<String>,
        /// Whether the saved object is wanted, to be emitted.
        emits: bool,
    },
    /// Reads a page after this seq, of at most so many.
    Read { after: u32, limit: u32 },
}

/// A call that is over.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) key: u32,
    /// The message that was saved, or refused for good; none if a page was read.
    pub(super) saved: Option<(Tag, Outcome)>,
}

/// What became of a saved message.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is stored; the object that is to be emitted, if that was wanted.
    Stored(Option<Value>),
    /// Another body was first, or it is refused.
    Refused,
    /// The crowd went home.
    Open,
}

impl Call {
    /// Calls until there is an answer for good.
    pub(super) async fn run(self, world: &World) -> Done {
        let saved = match &self.what {
            What::Save { tag, socket_id, emits } => {
                Some((*tag, self.save(world, *tag, socket_id.as_deref(), *emits).await))
            }
            What::Read { after, limit } => {
                self.read(world, *after, *limit).await;
                None
            }
        };
        Done { key: self.key, saved }
    }

    async fn save(&self, world: &World, tag: Tag, socket_id: Option<&str>, emits: bool) -> Outcome {
        let body = json!({ "message": body(tag), "clientId": client_id(tag) });
        for attempt in 0.. {
            if attempt > 0 {
                if world.phase() == Phase::Over {
                    break;
                }
                // A repeat may come when the socket is another one already: it names none.
                self.room.note(world, self.slot, Event::Emitted { tag, route: Route::Rest });
            }
            let request = world.http.post(self.url(world, attempt, "")).bearer_auth(&self.token).json(&body);
            let request = match socket_id.filter(|_| attempt == 0) {
                Some(socket_id) => request.header("x-socket-id", socket_id),
                None => request,
            };
            let Some((status, text)) = answer(request).await else {
                sleep(Duration::from_millis(300)).await;
                continue;
            };
            match self.saved(world, tag, status, &text) {
                Ok(saved) => return Outcome::Stored(emits.then_some(saved)),
                Err(Some(pause)) => sleep(pause).await,
                Err(None) => return Outcome::Refused,
            }
        }
        Outcome::Open
    }

    /// Notes the answer; what was saved, or after which pause to try again.
    fn saved(&self, world: &World, tag: Tag, status: StatusCode, text: &str) -> Result<Value, Option<Duration>> {
        if status.is_success() {
            let saved: Value = serde_json::from_str(text).unwrap_or_default();
            let seq = saved.get("seq").and_then(Value::as_u64).and_then(|seq| u32::try_from(seq).ok()).unwrap_or(0);
            let duplicate = status == StatusCode::OK;
            self.room.note(world, self.slot, Event::Acked { tag, seq, duplicate });
            return Ok(saved);
        }
        let (code, pause) = self.refused(world, status, text);
        self.room.note(world, self.slot, Event::Refused { tag, code });
        Err(code.is_retryable().then_some(pause))
    }

    /// The code of an answer that is no success, and how long to wait; it has one, and its status is the code's.
    fn refused(&self, world: &World, status: StatusCode, text: &str) -> (Code, Duration) {
        let refusal = serde_json::from_str::<wire::Refusal>(text).ok();
        let code = refusal.as_ref().and_then(wire::Refusal::code);
        world.refused(code);
        let is_wrong = code.is_none_or(|code| code.http_status() != status.as_u16());
        let what = || format!("{status} came with {text}");
        world.judge(Promise::Answered, &self.room.id, is_wrong.then(what));
        let pause = refusal.as_ref().map_or(wire::PAUSE, wire::pause);
        (code.unwrap_or(Code::Internal), pause)
    }

    async fn read(&self, world: &World, after: u32, limit: u32) {
        let floor = self.room.chat().known().highest;
        let url = self.url(world, 0, &format!("?after={after}&limit={limit}"));
        let Some((status, text)) = answer(world.http.get(url).bearer_auth(&self.token)).await else { return };
        if status != StatusCode::OK {
            let (code, _) = self.refused(world, status, &text);
            let what = || format!("a member's page was refused with {}", code.as_str());
            return world.judge(Promise::Answered, &self.room.id, (!code.is_retryable()).then(what));
        }
        let Ok(page) = serde_json::from_str::<wire::Page<'_>>(&text) else {
            return self.room.note(world, self.slot, Event::PageBroken { expected: after + 1, found: 0 });
        };
        let last = seat::note_page(&self.room, world, self.slot, after, &page.messages);
        // The end of the history is not before what was acked when it was asked for.
        if let Some(broken) = end_of_page(after, last, floor, page.has_more) {
            self.room.note(world, self.slot, broken);
        }
    }

    fn url(&self, world: &World, attempt: usize, query: &str) -> String {
        let gateway = &world.gateways[(self.gateway + attempt) % world.gateways.len()];
        format!("{}/messages{query}", gateway.match_url(&self.room.id))
    }
}

async fn answer(request: RequestBuilder) -> Option<(StatusCode, String)> {
    let response = request.timeout(CALL_LIMIT).send().await.ok()?;
    Some((response.status(), response.text().await.ok()?))
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::crowd::{room::Pairing, roster};

    #[test]
    fn a_refusal_has_a_code_and_the_status_of_that() {
        let (_phase, changes) = watch::channel(Phase::Chatting);
        let world = World::new(Vec::new(), changes);
        let room = Pairing::new(&world, roster::couples(8).swap_remove(0), 0).current().unwrap();
        let what = What::Read { after: 0, limit: 1 };
        let call = Call { room, key: 0, slot: 0, token: "t".into(), gateway: 0, what };
        let answers =
            [("410", r#"{"code":"MATCH_CLOSED"}"#, 0), ("409", r#"{"code":"MATCH_CLOSED"}"#, 1), ("502", "", 2)];
        for (status, text, violations) in answers {
            call.refused(&world, status.parse().unwrap(), text);
            assert_eq!(world.progress().violations, violations, "{status} {text}");
        }
    }
}
