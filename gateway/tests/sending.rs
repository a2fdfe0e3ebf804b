//! Sends and calls over a real NATS server: repeated with the same ids, within their time, and never twice by accident.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gateway::{
    egress::{Services, Targets, outcome_of},
    inboxes::{Inboxes, Listener, Message},
};
use local_stack::servers::Nats;
use proto::{
    Code, MatchId, UserId,
    chat::{Code as ChatCode, Draft, Failure, SendReply, SendRequest, SendResult, Stored, send_result},
    signaling::{CallReply, CallRequest},
    subjects::RequestSubject,
};
use service_kit::{Lifecycle, NatsConfig, bus::Bus, health::Readiness};
use tempfile::TempDir;

/// A NATS server with one client.
struct World {
    services: Services,
    lifecycle: Lifecycle,
    _nats: Nats,
    _dir: TempDir,
}

/// The requests that a replica has seen.
type Seen = Arc<Mutex<Vec<SendRequest>>>;

/// Who hears nothing.
struct Deaf;

impl Listener for Deaf {
    fn hear(&mut self, _: &Message<'_>) {}
    fn tick(&mut self, _: Instant) {}
    fn each(&self, _: &mut dyn FnMut(&UserId, u64)) {}
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nats = Nats::start(dir.path()).await.unwrap();
        let lifecycle = Lifecycle::new();
        let config = NatsConfig { nats_url: vec![nats.url().parse().unwrap()], prefix: String::new() };
        let connected = Readiness::new(&lifecycle).condition("nats");
        let bus = Bus::connect(&config, "test", connected).await.unwrap();
        bus.flush().await.unwrap();
        let nobody = Targets { chat: vec![], milestones: vec![], signaling: vec![] };
        let (inboxes, readiness) = (Inboxes::new(""), Readiness::new(&lifecycle));
        inboxes.start(&config, readiness.condition("inboxes"), (&lifecycle, lifecycle.stopping()), || Deaf);
        while !readiness.missing().is_empty() {
            tokio::task::yield_now().await;
        }
        let services = Services::connect((bus, inboxes), &nobody, &lifecycle);
        Self { services, lifecycle, _nats: nats, _dir: dir }
    }

    /// Serves a subject: the answer to each request is what `answer` makes of its number, from 0.
    async fn serve(
        &self,
        subject: &RequestSubject<SendRequest, SendReply>,
        answer: impl Fn(usize) -> Option<SendReply> + Send + 'static,
    ) -> Seen {
        let seen = Seen::default();
        let noted = seen.clone();
        let handler = move |request| {
            let mut seen = noted.lock().unwrap();
            seen.push(request);
            std::future::ready(answer(seen.len() - 1))
        };
        self.services.bus.serve((subject, "owner"), 10, &self.lifecycle, handler).await.unwrap();
        self.services.bus.flush().await.unwrap();
        seen
    }

    async fn send(&self) -> (Result<Stored, Code>, Duration) {
        let began = Instant::now();
        let reply = self.services.send(&demo(), request()).await;
        let [result] = <[SendResult; 1]>::try_from(reply.results).unwrap();
        (outcome_of(result).map_err(|failure| failure.code), began.elapsed())
    }
}

fn demo() -> MatchId {
    MatchId::new("demo").unwrap()
}

fn request() -> SendRequest {
    let draft = Draft { client_id: "c".into(), body: "\"hi\"".into(), saved_as: None, reply_to: None };
    SendRequest { match_id: "demo".into(), sender_id: "alice".into(), drafts: vec![draft], ..SendRequest::default() }
}

fn reply(result: send_result::Result) -> SendReply {
    SendReply { results: vec![SendResult { result: Some(result) }] }
}

fn stored() -> Stored {
    Stored { seq: 1, created_at_ms: 1, duplicate: false, client_id: "c".into() }
}

fn stored_reply() -> SendReply {
    reply(send_result::Result::Stored(stored()))
}

fn failed(code: ChatCode, retry_after_ms: Option<i64>) -> SendReply {
    reply(send_result::Result::Failure(Failure { code: code.into(), retry_after_ms, of_sender: false }))
}

#[tokio::test]
async fn a_send_that_nobody_serves_is_unavailable_after_five_seconds() {
    let (outcome, took) = World::new().await.send().await;
    assert_eq!(outcome, Err(Code::Unavailable));
    assert!((4..6).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn a_send_is_taken_by_a_replica_that_comes_late() {
    let world = World::new().await;
    let owned = world.services.bus.subjects().all_sends();
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.serve(&owned, |_| Some(stored_reply())).await
    };
    let ((outcome, took), _) = tokio::join!(world.send(), late);
    assert_eq!(outcome, Ok(stored()));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_silent_owner_is_soon_passed_by_with_the_same_ids() {
    let world = World::new().await;
    let subjects = world.services.bus.subjects();
    let owner = world.serve(&subjects.send(&demo()), |_| None).await;
    let any = world.serve(&subjects.send_any(&demo()), |_| Some(stored_reply())).await;
    let (outcome, took) = world.send().await;
    assert_eq!(outcome, Ok(stored()));
    assert!((400..1000).contains(&took.as_millis()), "{took:?}");
    let (owner, any) = (owner.lock().unwrap(), any.lock().unwrap());
    assert_eq!((owner.len(), any.len()), (1, 1));
    assert_eq!(owner[0].drafts, any[0].drafts);
    assert!(any[0].deadline_ms >= owner[0].deadline_ms + 400, "each try has its own deadline");
}

#[tokio::test]
async fn an_unavailable_draft_is_tried_again_after_the_pause_that_the_service_asks_for() {
    let world = World::new().await;
    let answer = |n| Some(if n < 2 { failed(ChatCode::Unavailable, Some(200)) } else { stored_reply() });
    let seen = world.serve(&world.services.bus.subjects().all_sends(), answer).await;
    let (outcome, took) = world.send().await;
    assert_eq!(outcome, Ok(stored()));
    assert_eq!(seen.lock().unwrap().len(), 3);
    assert!((400..1500).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let world = World::new().await;
    let seen =
        world.serve(&world.services.bus.subjects().all_sends(), |_| Some(failed(ChatCode::MatchClosed, None))).await;
    assert_eq!(world.send().await.0, Err(Code::MatchClosed));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_command_that_nobody_takes_is_unavailable_within_two_seconds() {
    let world = World::new().await;
    let began = Instant::now();
    let failure = world.services.call(&demo(), CallRequest::default()).await.unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_call_command_that_somebody_took_is_not_given_again() {
    let world = World::new().await;
    let taken = Arc::new(Mutex::new(0));
    let count = taken.clone();
    let handler = move |_: CallRequest| {
        *count.lock().unwrap() += 1;
        std::future::ready(None::<CallReply>)
    };
    let bus = &world.services.bus;
    bus.serve((&bus.subjects().all_calls(), "owner"), 10, &world.lifecycle, handler).await.unwrap();
    bus.flush().await.unwrap();
    let failure = world.services.call(&demo(), CallRequest::default()).await.unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert_eq!(*taken.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_refusal_that_follows_silence_is_not_the_last_word() {
    let world = World::new().await;
    let subjects = world.services.bus.subjects();
    // The owner takes its time, and stores the message all the same.
    let owner = world.serve(&subjects.send(&demo()), |n| (n > 0).then(stored_reply)).await;
    let busy = |_| Some(failed(ChatCode::RateLimited, Some(50)));
    let any = world.serve(&subjects.send_any(&demo()), busy).await;
    assert_eq!(world.send().await.0, Ok(stored()));
    assert_eq!((owner.lock().unwrap().len(), any.lock().unwrap().len()), (2, 1));
}
