//! Servers and services for the tests: shared servers where nobody breaks them, a database and a prefix of one's own.

mod inbox;
mod process;

pub(crate) use inbox::{Inbox, inbox, places};
pub(crate) use process::Process;

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chat_service::{
    app::{self, App},
    config::Config,
};
use clap::Parser;
use local_stack::servers::{Nats, Postgres};
use proto::{
    MatchId,
    chat::{
        ChangeMessageRequest, Code, Draft, GetMatchRequest, Mark, MarkRequest, Match, Position, PutMatchRequest,
        SendReply, SendRequest, SendResult, Stored, change_message_request, change_message_response,
        chat_service_client::ChatServiceClient, mark_result, send_result,
    },
    subjects::RequestSubject,
};
use service_kit::{
    Lifecycle, NatsConfig,
    bus::{Bus, BusError},
    clock, grpc,
    health::Readiness,
};
use tempfile::TempDir;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};
use tonic::Status;

/// Nothing in a test takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Servers of one test or of all.
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) nats: Nats,
    dir: TempDir,
}

impl Servers {
    /// New ones, for a test that breaks them.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user when the tests run as root.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path: &Path = dir.path();
        let (postgres, nats) = tokio::try_join!(Postgres::start(path), Nats::start(path)).unwrap();
        Self { postgres, nats, dir }
    }

    /// Removes what NATS has stored, while it does not run.
    pub(crate) fn wipe_nats(&self) {
        let store = self.dir.path().join("nats");
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
    }

    /// A stack of its own on these servers: a new database, a new prefix.
    pub(crate) async fn stack(&self) -> Stack {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let database = self.postgres.create_database(&name).await.unwrap();
        Stack { database, nats: self.nats.url().to_owned(), prefix: format!("{name}.") }
    }
}

/// The servers that all tests share which leave them whole.
pub(crate) async fn shared() -> &'static Servers {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    SERVERS.get_or_init(Servers::start).await
}

/// Where a stack's replicas find their servers.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) database: String,
    pub(crate) nats: String,
    pub(crate) prefix: String,
}

impl Stack {
    /// A replica that may not be ready yet. Most tests send as fast as they can; the limits have tests of their own.
    pub(crate) async fn launch(&self) -> Replica {
        self.launch_limited(["100000/100000", "4000000000"]).await
    }

    /// A replica that is ready, with limits of the messages and bytes of a sender in a match.
    pub(crate) async fn limited_replica(&self, limits: [&str; 2]) -> Replica {
        let replica = self.launch_limited(limits).await;
        replica.ready().await;
        replica
    }

    async fn launch_limited(&self, [sends, bytes]: [&str; 2]) -> Replica {
        let arguments = [
            "chat-service",
            "--database-url",
            &self.database,
            "--nats-url",
            &self.nats,
            "--prefix",
            &self.prefix,
            "--grpc-listen",
            "127.0.0.1:0",
            "--limit-sends-match",
            sends,
            "--limit-bytes-match",
            bytes,
        ];
        let lifecycle = Lifecycle::new();
        let app = app::start(Config::parse_from(arguments), lifecycle.clone()).await.unwrap();
        Replica { app, lifecycle }
    }

    /// A replica that is ready.
    pub(crate) async fn replica(&self) -> Replica {
        let replica = self.launch().await;
        replica.ready().await;
        replica
    }

    /// A gateway's connection.
    pub(crate) async fn bus(&self) -> Bus {
        let lifecycle = Lifecycle::new();
        let config = NatsConfig { nats_url: vec![self.nats.parse().unwrap()], prefix: self.prefix.clone() };
        let connected = Readiness::new(&lifecycle).condition("nats");
        let bus = Bus::connect(&config, "test", connected.clone()).await.unwrap();
        eventually("NATS is reached", async || connected.holds()).await;
        bus
    }

    /// The same one, whose replicas wait for locks for as long as any test takes.
    pub(crate) fn patient(&self) -> Self {
        let patience_ms = PATIENCE.as_millis();
        let options = format!("-c%20lock_timeout%3D{patience_ms}%20-c%20statement_timeout%3D{patience_ms}");
        Self { database: format!("{}?options={options}", self.database), ..self.clone() }
    }

    /// The database itself, to look into.
    pub(crate) async fn sql(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.database, tokio_postgres::NoTls).await.unwrap();
        Lifecycle::new().spawn_background(async move {
            let _ = connection.await;
        });
        client
    }
}

/// One replica of the service under test.
pub(crate) struct Replica {
    pub(crate) app: App,
    pub(crate) lifecycle: Lifecycle,
}

impl Replica {
    pub(crate) async fn ready(&self) {
        eventually("the replica is ready", async || self.app.readiness.missing().is_empty()).await;
    }

    /// Its gRPC.
    pub(crate) fn rpc(&self) -> ChatServiceClient<grpc::Client> {
        ChatServiceClient::new(self.client())
    }

    /// Calls of whatever it serves by gRPC.
    pub(crate) fn client(&self) -> grpc::Client {
        grpc::connect(&[self.app.grpc.to_string()], &self.lifecycle).with_timeout(PATIENCE)
    }

    /// Makes a match of alice and bob.
    pub(crate) async fn put(&self, id: &str) -> Match {
        self.put_members(id, ["alice", "bob"]).await.unwrap()
    }

    pub(crate) async fn put_members<const N: usize>(&self, id: &str, members: [&str; N]) -> Result<Match, Status> {
        let request = PutMatchRequest {
            match_id: id.to_owned(),
            members: members.map(str::to_owned).into(),
            ..PutMatchRequest::default()
        };
        Ok(self.rpc().put_match(request).await?.into_inner().r#match.unwrap())
    }

    pub(crate) async fn get(&self, id: &str) -> Match {
        let request =
            GetMatchRequest { match_id: id.to_owned(), since_seq: None, limit: 1, ..GetMatchRequest::default() };
        self.rpc().get_match(request).await.unwrap().into_inner().r#match.unwrap()
    }

    /// Stops it as a signal would. True if everything finished.
    pub(crate) async fn stop(self) -> bool {
        self.lifecycle.stop(PATIENCE).await
    }
}

/// Stops a replica that a test has not stopped, at once.
impl Drop for Replica {
    fn drop(&mut self) {
        self.lifecycle.stopping().cancel();
    }
}

pub(crate) fn draft(client_id: &str, text: &str) -> Draft {
    Draft { client_id: client_id.to_owned(), body: format!("\"{text}\""), ..Draft::default() }
}

/// Has a message changed by a user: the rev, and whether nothing had to be done.
pub(crate) async fn change_message(
    replica: &Replica,
    (id, user, seq): (&str, &str, i64),
    client_id: Option<&str>,
    change: change_message_request::Change,
) -> Result<(i64, bool), Code> {
    let (match_id, user_id, client_id) = (id.to_owned(), user.to_owned(), client_id.map(str::to_owned));
    let request = ChangeMessageRequest { match_id, user_id, seq, client_id, change: Some(change) };
    match replica.rpc().change_message(request).await.unwrap().into_inner().result.unwrap() {
        change_message_response::Result::Changed(changed) => Ok((changed.rev, changed.duplicate)),
        change_message_response::Result::Failure(failure) => Err(failure.code()),
    }
}

/// Marks a match as read by a user up to these messages.
pub(crate) async fn mark(replica: &Replica, (id, user): (&str, &str), read: &[i64]) -> Result<Position, Code> {
    let (match_id, user_id) = (id.to_owned(), user.to_owned());
    let marks = vec![Mark { match_id, user_id, read_seqs: read.to_vec(), delivered_seqs: vec![] }];
    let marked = replica.rpc().mark(MarkRequest { marks }).await.unwrap().into_inner().results.remove(0);
    match marked.result.unwrap() {
        mark_result::Result::Position(position) => Ok(position),
        mark_result::Result::Failure(failure) => Err(failure.code()),
    }
}

/// A request of a gateway, with two seconds to go.
pub(crate) fn request(id: &str, sender: &str, drafts: Vec<Draft>) -> SendRequest {
    SendRequest {
        match_id: id.to_owned(),
        sender_id: sender.to_owned(),
        origin: Some(7),
        by_rest: false,
        drafts,
        deadline_ms: clock::unix_ms() + 2_000,
    }
}

pub(crate) async fn try_send(bus: &Bus, request: &SendRequest) -> Result<SendReply, BusError> {
    let id = MatchId::new(request.match_id.as_str()).unwrap();
    bus.request(&bus.subjects().send(&id), request, Duration::from_secs(3)).await
}

/// The results of a request that is answered.
pub(crate) async fn send(bus: &Bus, request: &SendRequest) -> Vec<SendResult> {
    try_send(bus, request).await.unwrap().results
}

/// As a gateway does: the same request again until it is decided, every other time to any replica.
pub(crate) async fn send_reliably(bus: &Bus, request: &SendRequest) -> Vec<Result<Stored, Code>> {
    let id = MatchId::new(request.match_id.as_str()).unwrap();
    send_by(bus, request, [bus.subjects().send(&id), bus.subjects().send_any(&id)]).await
}

/// The same, but first to any replica, as after a request to the owner that was not answered.
pub(crate) async fn send_to_any(bus: &Bus, request: &SendRequest) -> Vec<Result<Stored, Code>> {
    let id = MatchId::new(request.match_id.as_str()).unwrap();
    send_by(bus, request, [bus.subjects().send_any(&id), bus.subjects().send(&id)]).await
}

async fn send_by(
    bus: &Bus,
    request: &SendRequest,
    ways: [RequestSubject<SendRequest, SendReply>; 2],
) -> Vec<Result<Stored, Code>> {
    let give_up = Instant::now() + PATIENCE;
    for subject in ways.iter().cycle() {
        let request = SendRequest { deadline_ms: clock::unix_ms() + 1_000, ..request.clone() };
        if let Ok(reply) = bus.request(subject, &request, Duration::from_secs(1)).await {
            let results = outcomes(&reply.results);
            let undecided =
                |result: &Result<Stored, Code>| matches!(result, Err(Code::Unavailable | Code::RateLimited));
            if !results.iter().any(undecided) {
                return results;
            }
        }
        assert!(Instant::now() < give_up, "a send was not decided in time");
        sleep(Duration::from_millis(50)).await;
    }
    unreachable!("the ways go round")
}

pub(crate) fn outcomes(results: &[SendResult]) -> Vec<Result<Stored, Code>> {
    let outcome = |result: &SendResult| match result.result.clone().unwrap() {
        send_result::Result::Stored(stored) => Ok(stored),
        send_result::Result::Failure(failure) => Err(failure.code()),
    };
    results.iter().map(outcome).collect()
}

pub(crate) fn seqs(results: &[SendResult]) -> Vec<i64> {
    outcomes(results).into_iter().map(|result| result.unwrap().seq).collect()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < give_up, "never happened: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
