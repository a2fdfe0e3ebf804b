//! A stack of one's own for each test: servers, chat-service, replicas of the service under test, a gateway's ears.

use std::{
    ops::{Deref, DerefMut},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use local_stack::servers::{Nats, Postgres, Redis};
use milestone_service::{app, app::App, config::Config};
use proto::{
    MatchId, UserId,
    chat::{
        Draft, GetMatchRequest, Match, Milestone, PutMatchRequest, SendReply, SendRequest,
        chat_service_client::ChatServiceClient,
    },
    inbox::{ChatEvent, chat_event::Event},
    milestone::{GetProgressRequest, GetProgressResponse, milestone_service_client::MilestoneServiceClient},
    streams::{self, MILESTONE_CONSUMER},
};
use service_kit::{
    Lifecycle, NatsConfig,
    bus::{Bus, Subscription},
    clock, grpc,
    health::Readiness,
};
use tempfile::TempDir;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use local_stack::peer::Peer;

/// Nothing in a test takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for an event that should not come.
const SILENCE: Duration = Duration::from_millis(400);

/// What stands before everything that a stack has on its servers.
pub(crate) const PREFIX: &str = "t1.";

const MILESTONES_FILE: &str = "milestones.yaml";
/// Three messages reach the first milestone, five the second.
const MILESTONES: &str = "milestones:\n- {id: three, messages: 3, unlocks: [video_call]}\n- {id: five, messages: 5}\n";

/// Servers of its own but PostgreSQL, and one stack's services on them.
pub(crate) struct Stack {
    pub(crate) nats: Nats,
    pub(crate) redis: Redis,
    pub(crate) dir: TempDir,
    tenant: Tenant,
}

/// What of one stack stands behind its prefix on servers that it may share.
pub(crate) struct Tenant {
    pub(crate) chat: Peer,
    pub(crate) bus: Bus,
    nats_url: String,
    redis_url: String,
    dir: PathBuf,
    lifecycle: Lifecycle,
}

/// A replica of the service under test.
pub(crate) struct Replica {
    pub(crate) app: App,
    lifecycle: Lifecycle,
}

/// What the gateways of a user hear.
pub(crate) struct Inbox(Subscription<ChatEvent>);

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    // PostgreSQL runs as another user when the tests run as root.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

async fn database() -> String {
    static POSTGRES: OnceCell<(Postgres, TempDir)> = OnceCell::const_new();
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let start = async || {
        let dir = folder();
        (Postgres::start(dir.path()).await.unwrap(), dir)
    };
    let (postgres, _) = POSTGRES.get_or_init(start).await;
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    postgres.create_database(&format!("t{number}")).await.unwrap()
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let dir = folder();
        let (nats, redis) = tokio::try_join!(Nats::start(dir.path()), Redis::start(dir.path())).unwrap();
        std::fs::write(dir.path().join(MILESTONES_FILE), MILESTONES).unwrap();
        let tenant = Tenant::start(PREFIX, (&nats, &redis), dir.path()).await;
        Self { nats, redis, dir, tenant }
    }

    /// Another stack on the same servers.
    pub(crate) async fn neighbour(&self, prefix: &str) -> Tenant {
        Tenant::start(prefix, (&self.nats, &self.redis), self.dir.path()).await
    }
}

impl Deref for Stack {
    type Target = Tenant;
    fn deref(&self) -> &Tenant {
        &self.tenant
    }
}

impl DerefMut for Stack {
    fn deref_mut(&mut self) -> &mut Tenant {
        &mut self.tenant
    }
}

impl Tenant {
    async fn start(prefix: &str, (nats, redis): (&Nats, &Redis), dir: &Path) -> Self {
        let args = ["--nats-url", nats.url(), "--database-url", &database().await, "--prefix", prefix];
        let chat = Peer::start("chat-service", &args, dir).await.unwrap();
        let lifecycle = Lifecycle::new();
        let config = NatsConfig { nats_url: vec![nats.url().parse().unwrap()], prefix: prefix.to_owned() };
        let connected = Readiness::new(&lifecycle).condition("nats");
        let bus = Bus::connect(&config, "test", connected.clone()).await.unwrap();
        eventually("NATS is reached", async || connected.holds()).await;
        let (nats_url, redis_url) = (nats.url().to_owned(), redis.url().to_owned());
        Self { chat, bus, nats_url, redis_url, dir: dir.to_owned(), lifecycle }
    }

    /// A replica that is ready.
    pub(crate) async fn replica(&self) -> Replica {
        self.replica_hearing(&self.nats_url).await
    }

    /// A replica that hears of commits at another NATS.
    pub(crate) async fn replica_hearing(&self, nats_url: &str) -> Replica {
        let file = self.dir.join(MILESTONES_FILE);
        let mut args = vec!["milestone-service", "--grpc-listen", "127.0.0.1:0"];
        args.extend(self.arguments(nats_url, file.to_str().unwrap()));
        let lifecycle = Lifecycle::new();
        let app = app::start(Config::parse_from(args), lifecycle.clone()).await.unwrap();
        let replica = Replica { app, lifecycle };
        eventually("the replica is ready", async || replica.is_ready()).await;
        replica
    }

    /// A replica as a process of its own, which a test may freeze.
    pub(crate) async fn process(&self) -> Peer {
        let file = self.dir.join(MILESTONES_FILE);
        let args = self.arguments(&self.nats_url, file.to_str().unwrap());
        Peer::start("milestone-service", &args, &self.dir).await.unwrap()
    }

    fn arguments<'a>(&'a self, nats_url: &'a str, milestones_file: &'a str) -> Vec<&'a str> {
        let prefix = self.bus.subjects().prefix();
        [
            ["--nats-url", nats_url],
            ["--redis-url", &self.redis_url],
            ["--prefix", prefix],
            ["--chat-service", &self.chat.grpc],
            ["--milestones-file", milestones_file],
        ]
        .concat()
    }

    pub(crate) fn chat(&self) -> ChatServiceClient<grpc::Client> {
        let client = grpc::connect(std::slice::from_ref(&self.chat.grpc), &self.lifecycle);
        ChatServiceClient::new(client.with_timeout(PATIENCE))
    }

    /// Makes a match of alice and bob.
    pub(crate) async fn put(&self, id: &str) {
        let request = PutMatchRequest {
            match_id: id.to_owned(),
            members: vec!["alice".to_owned(), "bob".to_owned()],
            ..PutMatchRequest::default()
        };
        self.chat().put_match(request).await.unwrap();
    }

    pub(crate) async fn get(&self, id: &str) -> Match {
        let request =
            GetMatchRequest { match_id: id.to_owned(), since_seq: None, limit: 0, ..GetMatchRequest::default() };
        self.chat().get_match(request).await.unwrap().into_inner().r#match.unwrap()
    }

    /// Sends as a gateway does, one message per clientId, again until it is answered.
    pub(crate) async fn send(&self, id: &str, client_ids: &[&str]) {
        let draft = |id: &&str| Draft { client_id: (*id).to_owned(), body: "\"hello\"".to_owned(), ..Draft::default() };
        let drafts: Vec<_> = client_ids.iter().map(draft).collect();
        let subject = self.bus.subjects().send(&MatchId::new(id).unwrap());
        eventually("a send is answered", async || {
            let request = SendRequest {
                match_id: id.to_owned(),
                sender_id: "alice".to_owned(),
                origin: None,
                by_rest: false,
                drafts: drafts.clone(),
                deadline_ms: clock::unix_ms() + 1_000,
            };
            let reply: Result<SendReply, _> = self.bus.request(&subject, &request, Duration::from_secs(1)).await;
            reply.is_ok_and(|reply| reply.results.len() == client_ids.len())
        })
        .await;
    }

    /// Waits until every event of the stream was delivered to a replica and acknowledged.
    pub(crate) async fn all_is_acknowledged(&self) {
        let stream = streams::chat_events(self.bus.subjects()).name;
        eventually("every event is acknowledged", async || {
            let stream = self.bus.jetstream().get_stream_no_info(&stream).await.unwrap();
            let consumer = stream.consumer_info(MILESTONE_CONSUMER).await.unwrap();
            consumer.num_pending == 0 && consumer.num_ack_pending == 0
        })
        .await;
    }

    pub(crate) async fn inbox(&self, user: &str) -> Inbox {
        let subject = self.bus.subjects().chat_inbox(&UserId::new(user).unwrap());
        let inbox = Inbox(self.bus.subscribe(&subject).await.unwrap());
        self.bus.flush().await.unwrap();
        inbox
    }

    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}

impl Replica {
    pub(crate) fn is_ready(&self) -> bool {
        self.app.readiness.missing().is_empty()
    }

    pub(crate) async fn progress(&self, id: &str) -> Result<GetProgressResponse, tonic::Status> {
        let client = grpc::connect(&[self.app.grpc.to_string()], &self.lifecycle).with_timeout(PATIENCE);
        let request = GetProgressRequest { match_id: id.to_owned() };
        Ok(MilestoneServiceClient::new(client).get_progress(request).await?.into_inner())
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

impl Inbox {
    /// The next milestone that is announced.
    pub(crate) async fn milestone(&mut self) -> Milestone {
        let next = async {
            loop {
                let (event, _) = self.0.next().await.unwrap();
                if let Some(Event::MilestoneReached(reached)) = event.event {
                    return reached.milestone.unwrap();
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a milestone in time")
    }

    /// Waits a moment, in which no milestone may be announced.
    pub(crate) async fn no_milestone(&mut self) {
        let until = Instant::now() + SILENCE;
        while let Ok(Some((event, _))) = tokio::time::timeout_at(until, self.0.next()).await {
            assert!(!matches!(event.event, Some(Event::MilestoneReached(_))), "{event:?}");
        }
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
