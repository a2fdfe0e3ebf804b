//! Servers and services for the tests: shared where nobody breaks them, with a prefix of one's own for each test.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use clap::Parser;
use local_stack::servers::{Nats, Postgres, Redis};
use proto::{
    MatchId,
    chat::{
        CloseMatchRequest, Draft, GetMatchRequest, PutMatchRequest, SendReply, SendRequest,
        chat_service_client::ChatServiceClient,
    },
    inbox::call_changed::Change,
    signaling::{
        Call, GetCallRequest, GetCallResponse,
        get_call_request::{Of, OfDevice},
        signaling_service_client::SignalingServiceClient,
    },
};
use service_kit::{Lifecycle, NatsConfig, bus::Bus, clock, grpc, health::Readiness};
use signaling_service::{app, app::App, config::Config};
use tempfile::TempDir;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use local_stack::peer::Peer;

/// Nothing in a test takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Three messages unlock calls.
const MILESTONES: &str = "milestones:\n- {id: three, messages: 3, unlocks: [video_call]}\n";

/// What is behind signaling-service, the same for all tests.
struct Backend {
    nats: Nats,
    redis: Redis,
    chat: Peer,
    milestones: Peer,
    _postgres: Postgres,
    _dir: TempDir,
}

/// A stack of one's own on the shared servers.
pub(crate) struct Stack {
    backend: &'static Backend,
    prefix: String,
    redis_url: String,
    /// Of this stack.
    pub(crate) bus: Bus,
    /// Of the shared chat-service, which has no prefix.
    sends: Bus,
    pub(crate) lifecycle: Lifecycle,
}

/// A replica of the service under test.
pub(crate) struct Replica {
    pub(crate) app: App,
    lifecycle: Lifecycle,
}

pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    // PostgreSQL runs as another user when the tests run as root.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

async fn backend() -> &'static Backend {
    static BACKEND: OnceCell<Backend> = OnceCell::const_new();
    BACKEND.get_or_init(Backend::start).await
}

impl Backend {
    async fn start() -> Self {
        let dir = folder();
        let path: &Path = dir.path();
        let (nats, redis, postgres) =
            tokio::try_join!(Nats::start(path), Redis::start(path), Postgres::start(path)).unwrap();
        let database = postgres.create_database("chat").await.unwrap();
        let chat = ["--nats-url", nats.url(), "--database-url", &database];
        let chat = Peer::start("chat-service", &chat, path).await.unwrap();
        let file = path.join("milestones.yaml");
        std::fs::write(&file, MILESTONES).unwrap();
        let mut args = vec!["--nats-url", nats.url(), "--redis-url", redis.url(), "--chat-service", &chat.grpc];
        args.extend(["--milestones-file", file.to_str().unwrap()]);
        let milestones = Peer::start("milestone-service", &args, path).await.unwrap();
        Self { nats, redis, chat, milestones, _postgres: postgres, _dir: dir }
    }
}

impl Stack {
    pub(crate) async fn new() -> Self {
        let redis_url = backend().await.redis.url().to_owned();
        Self::on(redis_url).await
    }

    /// With calls in a Redis of its own, for a test that breaks it.
    pub(crate) async fn on(redis_url: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let backend = backend().await;
        let prefix = format!("t{}.", COUNT.fetch_add(1, Ordering::Relaxed));
        let lifecycle = Lifecycle::new();
        let bus = connect(backend.nats.url(), &prefix, &lifecycle).await;
        let sends = connect(backend.nats.url(), "", &lifecycle).await;
        Self { backend, prefix, redis_url, bus, sends, lifecycle }
    }

    /// A replica that is ready.
    pub(crate) async fn replica(&self, more: &[&str]) -> Replica {
        let listen = ["signaling-service", "--grpc-listen", "127.0.0.1:0"].map(str::to_owned);
        let args = listen.into_iter().chain(self.flags()).chain(more.iter().map(ToString::to_string));
        let lifecycle = Lifecycle::new();
        let app = app::start(Config::parse_from(args), lifecycle.clone()).await.unwrap();
        let replica = Replica { app, lifecycle };
        eventually("the replica is ready", async || replica.is_ready()).await;
        replica
    }

    /// A replica as a process of its own, which a test may kill.
    pub(crate) async fn process(&self, more: &[&str], dir: &Path) -> Peer {
        let flags: Vec<_> = self.flags().chain(more.iter().map(ToString::to_string)).collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        Peer::start("signaling-service", &flags, dir).await.unwrap()
    }

    fn flags(&self) -> impl Iterator<Item = String> {
        let Backend { nats, chat, milestones, .. } = self.backend;
        let servers = ["--nats-url", nats.url(), "--redis-url", &self.redis_url, "--prefix", &self.prefix];
        let services = ["--chat-service", &chat.grpc, "--milestone-service", &milestones.grpc];
        servers.into_iter().chain(services).map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    fn chat(&self) -> ChatServiceClient<grpc::Client> {
        let client = grpc::connect(std::slice::from_ref(&self.backend.chat.grpc), &self.lifecycle);
        ChatServiceClient::new(client.with_timeout(PATIENCE))
    }

    /// The full name of a match or user of this test.
    pub(crate) fn own(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix.trim_end_matches('.'))
    }

    /// Makes a match with a number of messages.
    pub(crate) async fn put(&self, id: &str, members: [&str; 2], messages: usize) {
        let members = members.map(|name| self.own(name));
        let request =
            PutMatchRequest { match_id: self.own(id), members: members.to_vec(), ..PutMatchRequest::default() };
        self.chat().put_match(request).await.unwrap();
        if messages > 0 {
            self.send(id, &members[0], messages).await;
        }
    }

    /// Makes a match whose members may call each other.
    pub(crate) async fn put_unlocked(&self, id: &str, members: [&str; 2]) {
        self.put(id, members, 3).await;
        let request = GetMatchRequest { match_id: self.own(id), ..GetMatchRequest::default() };
        eventually("calls are unlocked", async || {
            let response = self.chat().get_match(request.clone()).await.unwrap().into_inner();
            !response.r#match.unwrap().milestones.is_empty()
        })
        .await;
    }

    pub(crate) async fn close(&self, id: &str) {
        self.chat().close_match(CloseMatchRequest { match_id: self.own(id) }).await.unwrap();
    }

    /// A live call, as a replica sees it.
    pub(crate) async fn live(&self, replica: &Replica, of: Of) -> Option<Call> {
        self.get_call(replica, of).await.call
    }

    /// What a device that was away may have missed: the version and the change.
    pub(crate) async fn missed(
        &self,
        replica: &Replica,
        (user, device): (&str, &str),
        heard_of: Option<&str>,
    ) -> Vec<(i64, Change)> {
        let heard_of = heard_of.map(str::to_owned);
        let of = Of::OfDevice(OfDevice { user_id: user.to_owned(), device: device.to_owned(), heard_of });
        let told = self.get_call(replica, of).await.told.into_iter();
        // As its gateway does.
        let told = told.filter(|told| told.only_device.as_deref().is_none_or(|only| only == device));
        let told = told.filter(|told| told.except_device.as_deref() != Some(device));
        told.map(|told| (told.version, told.change.unwrap())).collect()
    }

    async fn get_call(&self, replica: &Replica, of: Of) -> GetCallResponse {
        let client = grpc::connect(&[replica.app.grpc.to_string()], &self.lifecycle).with_timeout(PATIENCE);
        let request = GetCallRequest { of: Some(of) };
        SignalingServiceClient::new(client).get_call(request).await.unwrap().into_inner()
    }

    async fn send(&self, id: &str, sender: &str, count: usize) {
        let draft = |n| Draft { client_id: format!("c{n}"), body: "\"hello\"".to_owned(), ..Draft::default() };
        let id = MatchId::new(self.own(id)).unwrap();
        let request = SendRequest {
            match_id: id.to_string(),
            sender_id: sender.to_owned(),
            origin: None,
            by_rest: false,
            drafts: (0..count).map(draft).collect(),
            deadline_ms: clock::unix_ms() + 10_000,
        };
        let sent: SendReply = self.sends.request(&self.sends.subjects().send(&id), &request, PATIENCE).await.unwrap();
        assert_eq!(sent.results.len(), count);
    }
}

async fn connect(nats_url: &str, prefix: &str, lifecycle: &Lifecycle) -> Bus {
    let config = NatsConfig { nats_url: vec![nats_url.parse().unwrap()], prefix: prefix.to_owned() };
    let connected = Readiness::new(lifecycle).condition("nats");
    let bus = Bus::connect(&config, "test", connected.clone()).await.unwrap();
    eventually("NATS is reached", async || connected.holds()).await;
    bus
}

impl Replica {
    pub(crate) fn is_ready(&self) -> bool {
        self.app.readiness.missing().is_empty()
    }

    /// Stops it as a signal would. True if everything finished.
    pub(crate) async fn stop(self) -> bool {
        self.lifecycle.stop(PATIENCE).await
    }
}

/// Stops a replica that a test has not stopped.
impl Drop for Replica {
    fn drop(&mut self) {
        self.lifecycle.stopping().cancel();
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < give_up, "never happened: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
