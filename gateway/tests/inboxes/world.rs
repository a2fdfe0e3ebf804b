//! Inboxes with users, and a note of what they hear.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gateway::inboxes::{Inboxes, Listener, Message, NotSubscribed};
use local_stack::servers::NatsCluster;
use proto::{UserId, subjects::Subjects};
use service_kit::{Lifecycle, NatsConfig, bus::Bus, health::Readiness};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
/// So many that both servers of a cluster have some: each connection begins with one by chance.
const CONNECTIONS: usize = 32;
const USERS: usize = 80;

pub(crate) struct World {
    pub(crate) inboxes: Inboxes,
    readiness: Readiness,
    notes: Arc<Notes>,
    over: CancellationToken,
}

#[derive(Default)]
struct Notes {
    users: Mutex<HashMap<String, (UserId, u64)>>,
    heard: Mutex<Vec<(String, usize)>>,
}

struct Ear(Arc<Notes>);

impl Listener for Ear {
    fn hear(&mut self, message: &Message<'_>) {
        let (owner, _) = Subjects::default().inbox_named(message.subject).unwrap();
        let number = std::str::from_utf8(message.payload).unwrap().parse().unwrap();
        self.0.heard.lock().unwrap().push((owner.to_owned(), number));
    }

    fn tick(&mut self, _: Instant) {}

    fn each(&self, subscribe: &mut dyn FnMut(&UserId, u64)) {
        for (user, sid) in self.0.users.lock().unwrap().values() {
            subscribe(user, *sid);
        }
    }
}

impl World {
    pub(crate) fn start(urls: &[&str], connections: usize) -> Self {
        let lifecycle = Lifecycle::new();
        let (readiness, over) = (Readiness::new(&lifecycle), CancellationToken::new());
        let (inboxes, notes) = (Inboxes::spread_over(connections, ""), Arc::<Notes>::default());
        let connected = readiness.condition("inboxes");
        inboxes.start(&config(urls), connected, (&lifecycle, &over), || Ear(Arc::clone(&notes)));
        Self { inboxes, readiness, notes, over }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.readiness.missing().is_empty()
    }

    /// A user comes, and is subscribed.
    pub(crate) async fn enter(&self, id: &str) -> UserId {
        self.try_enter(id).await.unwrap()
    }

    pub(crate) async fn try_enter(&self, id: &str) -> Result<UserId, NotSubscribed> {
        let user = UserId::new(id).unwrap();
        let sid = self.inboxes.subscribe(&user);
        self.notes.users.lock().unwrap().insert(id.to_owned(), (user.clone(), sid));
        self.inboxes.subscribed(&user, sid).await?;
        Ok(user)
    }

    pub(crate) async fn enter_many(&self, count: usize) -> Vec<UserId> {
        let ids: Vec<String> = (0..count).map(|number| format!("user-{number}")).collect();
        futures_util::future::join_all(ids.iter().map(|id| self.enter(id))).await
    }

    /// Others come on all connections.
    pub(crate) async fn enter_beside(&self, id: &str) {
        for number in 0..20 {
            self.enter(&format!("beside-{id}-{number}")).await;
        }
    }

    pub(crate) fn leave(&self, id: &str) {
        let (user, sid) = self.notes.users.lock().unwrap().remove(id).unwrap();
        self.inboxes.unsubscribe(&user, sid);
    }

    pub(crate) fn heard(&self) -> Vec<(String, usize)> {
        self.notes.heard.lock().unwrap().clone()
    }

    pub(crate) fn heard_by(&self, id: &str) -> Vec<usize> {
        self.heard().into_iter().filter(|(user, _)| user == id).map(|(_, number)| number).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// Users on both servers of a cluster, and who publishes on the second, which stays.
pub(crate) struct OnTwoServers {
    pub(crate) cluster: NatsCluster,
    pub(crate) world: World,
    pub(crate) users: Vec<UserId>,
    pub(crate) bus: Bus,
    pub(crate) dir: TempDir,
}

impl OnTwoServers {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = NatsCluster::start(dir.path(), 2).await.unwrap();
        let [first, second] = <[String; 2]>::try_from(cluster.urls().to_vec()).unwrap();
        let world = World::start(&[&first, &second], CONNECTIONS);
        let (users, bus) = (world.enter_many(USERS).await, connect(&second).await);
        Self { cluster, world, users, bus, dir }
    }
}

fn config(urls: &[&str]) -> NatsConfig {
    NatsConfig { nats_url: urls.iter().map(|url| url.parse().unwrap()).collect(), prefix: String::new() }
}

pub(crate) async fn connect(url: &str) -> Bus {
    let connected = Readiness::new(&Lifecycle::new()).condition("nats");
    let bus = Bus::connect(&config(&[url]), "test", connected).await.unwrap();
    bus.flush().await.unwrap();
    bus
}

/// Publishes a number to a user's inbox, by turns on the subject of each kind.
pub(crate) async fn publish(bus: &Bus, user: &UserId, number: usize) {
    let (subjects, number_sent) = (bus.subjects(), number.to_string().into());
    let published = match number % 3 {
        0 => bus.publish_encoded(&subjects.chat_inbox(user), number_sent).await,
        1 => bus.publish_encoded(&subjects.call_inbox(user), number_sent).await,
        _ => bus.publish_encoded(&subjects.soft_inbox(user), number_sent).await,
    };
    published.unwrap();
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
