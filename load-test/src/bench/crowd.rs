//! Many clients that do nothing: all take the same steps together, and answer pings between them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, interval},
};

use super::target::Target;
use crate::{
    identity::{Pair, Side},
    matches, message,
    transport::{Connection, Endpoint, packet::Packet},
};

/// Steps that are taken at a time: what they need for a moment should not count as what a connection needs.
const STEPS_AT_A_TIME: usize = 32;
/// How long all may take for one step.
const STEP_LIMIT: Duration = Duration::from_mins(10);
/// Source addresses: each has 28,000 ports.
const SOURCES: usize = 16;
/// The ack id of the one event that a client sends.
const JOIN_ACK: u64 = 1;

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The Engine.IO session is open.
    Opened,
    /// The namespace has accepted its user.
    Authenticated,
    /// It has joined its match.
    Joined,
}

/// Many idle clients.
pub struct Crowd {
    step: watch::Sender<Step>,
    taken: Arc<AtomicUsize>,
    clients: JoinSet<anyhow::Result<()>>,
    size: usize,
    pairs: Vec<Arc<Pair>>,
}

impl Crowd {
    /// Opens `size` connections, so many `devices` for each user, two users to a match.
    pub async fn open(target: &Target, size: usize, devices: usize) -> anyhow::Result<Self> {
        let run = super::run_name();
        let pairs: Vec<Arc<Pair>> =
            (0..size.div_ceil(2 * devices)).map(|number| Arc::new(Pair::new(&run, number))).collect();
        create_matches(target, &pairs).await?;
        let (step, asked) = watch::channel(Step::Opened);
        let (taken, turns) = (Arc::default(), Arc::new(Semaphore::new(STEPS_AT_A_TIME)));
        let mut crowd = Self { step, taken, clients: JoinSet::new(), size, pairs };
        for number in 0..size {
            let user = number / devices;
            let (pair, member) = (Arc::clone(&crowd.pairs[user / 2]), Side::BOTH[user % 2]);
            crowd.clients.spawn(live(Client {
                endpoint: Arc::clone(&target.endpoints[number % target.endpoints.len()]),
                source: source(number),
                token: target.tokens.user(pair.user(member))?,
                pair,
                asked: asked.clone(),
                taken: Arc::clone(&crowd.taken),
                turns: Arc::clone(&turns),
            }));
        }
        crowd.all_have_taken_it().await?;
        Ok(crowd)
    }

    /// Has all clients take the next step.
    pub async fn take(&mut self, step: Step) -> anyhow::Result<()> {
        self.taken.store(0, Ordering::Relaxed);
        self.step.send_replace(step);
        self.all_have_taken_it().await.with_context(|| format!("not all clients are {step:?}"))
    }

    async fn all_have_taken_it(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut look = interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                ended = self.clients.join_next() => bail!("a client has ended: {:?}", ended.context("all have")??),
                _ = look.tick() => {}
            }
            let taken = self.taken.load(Ordering::Relaxed);
            if taken == self.size {
                return Ok(());
            }
            ensure!(begun.elapsed() < STEP_LIMIT, "{taken} of {} after {STEP_LIMIT:?}", self.size);
        }
    }

    /// The ids of all users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().flat_map(|pair| Side::BOTH.map(|side| pair.user(side)))
    }

    /// Closes all connections.
    pub async fn leave(self) {
        let Self { step, mut clients, .. } = self;
        drop(step);
        // How they end does not matter any more.
        while clients.join_next().await.is_some() {}
    }
}

/// Creates the matches of these pairs, where a target keeps any.
pub async fn create_matches(target: &Target, pairs: &[Arc<Pair>]) -> anyhow::Result<()> {
    if target.stack.is_none() {
        return Ok(());
    }
    let matches = pairs.iter().map(|pair| (pair.match_id.clone(), pair.users.clone()));
    matches::create(matches, &target.endpoints, &target.tokens.service()?).await
}

fn source(number: usize) -> IpAddr {
    let last = u8::try_from(number % SOURCES).unwrap_or_default() + 2;
    Ipv4Addr::new(127, 0, 0, last).into()
}

struct Client {
    endpoint: Arc<Endpoint>,
    source: IpAddr,
    token: String,
    pair: Arc<Pair>,
    asked: watch::Receiver<Step>,
    taken: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
}

async fn live(mut client: Client) -> anyhow::Result<()> {
    let mut connection = {
        let _turn = client.turns.acquire().await?;
        Connection::open_transport(&client.endpoint, Some(client.source)).await?
    };
    client.taken.fetch_add(1, Ordering::Relaxed);
    let mut due = None;
    loop {
        tokio::select! {
            asked = client.asked.changed() => match asked {
                Ok(()) => due = Some(*client.asked.borrow_and_update()),
                Err(_) => break,
            },
            turn = client.turns.acquire(), if due.is_some() => {
                let _turn = turn?;
                take(due.take(), &client, &mut connection).await?;
                client.taken.fetch_add(1, Ordering::Relaxed);
            }
            received = connection.receive() => answer(&received?, &mut connection).await?,
        }
    }
    connection.close().await;
    Ok(())
}

async fn take(step: Option<Step>, client: &Client, connection: &mut Connection) -> anyhow::Result<()> {
    match step {
        Some(Step::Authenticated) => Ok(connection.authenticate(&client.token).await?),
        Some(Step::Joined) => join(connection, &client.pair.match_id).await,
        Some(Step::Opened) | None => Ok(()),
    }
}

/// Joins a match and waits for the ack.
pub async fn join(connection: &mut Connection, match_id: &str) -> anyhow::Result<()> {
    connection.send(message::join_chat(JOIN_ACK, match_id, None)).await?;
    loop {
        let text = connection.receive().await?;
        if let Packet::Ack { id: JOIN_ACK, arguments } = Packet::parse(&text)? {
            ensure!(arguments.contains(r#""ok":true"#), "the join of {match_id} is refused: {arguments}");
            return Ok(());
        }
        answer(&text, connection).await?;
    }
}

/// Answers a ping; anything else an idle client only listens to.
async fn answer(text: &str, connection: &mut Connection) -> anyhow::Result<()> {
    match Packet::parse(text)? {
        Packet::Ping => Ok(connection.send("3".to_owned()).await?),
        Packet::Close | Packet::Disconnected => bail!("the server closes"),
        _ => Ok(()),
    }
}
