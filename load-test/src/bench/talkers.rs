//! Clients that send as they are told, and count what is acked and what the others hear.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use proto::client::event::RECEIVE_MESSAGE;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    crowd::{create_matches, join},
    target::Target,
};
use crate::{
    identity::{Pair, Side},
    message,
    stats::Counter,
    transport::{Connection, packet::Packet},
};

/// Sends that may wait for one client's turn.
const WAITING: usize = 64;
/// How long the last messages of a round may take.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
/// Ack ids of sends begin here; the join has a lower one.
const FIRST_SEND: u64 = 100;

/// What became of the sends of all rounds.
#[derive(Debug, Default)]
struct Counts {
    acked: Counter,
    delivered: Counter,
}

/// Pairs whose members talk to each other, on different gateways if there are several.
pub struct Talkers {
    orders: Vec<mpsc::Sender<u64>>,
    counts: Arc<Counts>,
    clients: JoinSet<anyhow::Result<()>>,
    sent: u64,
}

impl Talkers {
    /// Connects and joins all.
    pub async fn connect(target: &Target, pairs: usize) -> anyhow::Result<Self> {
        let run = super::run_name();
        let pairs: Vec<Arc<Pair>> = (0..pairs).map(|number| Arc::new(Pair::new(&run, number))).collect();
        create_matches(target, &pairs).await?;
        let (mut orders, counts, mut clients) = (Vec::new(), Arc::default(), JoinSet::new());
        for pair in &pairs {
            for side in Side::BOTH {
                let endpoint = &target.endpoints[side as usize % target.endpoints.len()];
                let mut connection = Connection::open(endpoint, None, &target.tokens.user(pair.user(side))?).await?;
                join(&mut connection, &pair.match_id).await?;
                let (order, ordered) = mpsc::channel(WAITING);
                orders.push(order);
                clients.spawn(talk(connection, pair.match_id.clone(), ordered, Arc::clone(&counts)));
            }
        }
        Ok(Self { orders, counts, clients, sent: 0 })
    }

    /// Sends at `rate` messages a second for `duration`, all clients by turns, whatever is heard of it, and waits until
    /// everything has arrived. Returns how many were delivered.
    pub async fn round(&mut self, rate: f64, duration: Duration) -> anyhow::Result<u64> {
        let before = self.sent;
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while begun.elapsed() < duration {
            ticks.tick().await;
            let due = before + due(rate, begun.elapsed().min(duration));
            while self.sent < due {
                self.send_one()?;
            }
        }
        self.everything_has_arrived().await?;
        Ok(self.sent - before)
    }

    fn send_one(&mut self) -> anyhow::Result<()> {
        let count = self.orders.len() as u64;
        let client = usize::try_from(self.sent % count).unwrap_or_default();
        let refused = "a client cannot keep up: lower --rate, or raise --pairs";
        self.orders[client].try_send(FIRST_SEND + self.sent / count).context(refused)?;
        self.sent += 1;
        Ok(())
    }

    async fn everything_has_arrived(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let (acked, delivered) = (self.counts.acked.get(), self.counts.delivered.get());
            if acked == self.sent && delivered == self.sent {
                return Ok(());
            }
            if let Some(ended) = self.clients.try_join_next() {
                bail!("a client has ended: {:?}", ended??);
            }
            let sent = self.sent;
            ensure!(begun.elapsed() < ARRIVAL_LIMIT, "{acked} acked and {delivered} delivered of {sent}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes all connections.
    pub async fn leave(self) {
        let Self { orders, mut clients, .. } = self;
        drop(orders);
        // How they end does not matter any more.
        while clients.join_next().await.is_some() {}
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are positive and far from any limit")]
fn due(rate: f64, elapsed: Duration) -> u64 {
    (rate * elapsed.as_secs_f64()) as u64
}

async fn talk(
    mut connection: Connection,
    match_id: String,
    mut orders: mpsc::Receiver<u64>,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let body = format!("\"{}\"", "x".repeat(40));
    loop {
        tokio::select! {
            ordered = orders.recv() => match ordered {
                Some(id) => {
                    let client_id = format!("bench-{id}");
                    connection.send(message::send_message(id, &match_id, &body, &client_id)).await?;
                }
                None => break,
            },
            received = connection.receive() => match Packet::parse(&received?)? {
                Packet::Ping => connection.send("3".to_owned()).await?,
                Packet::Event { name: RECEIVE_MESSAGE, .. } => counts.delivered.count(),
                Packet::Ack { arguments, .. } => {
                    ensure!(arguments.contains(r#""ok":true"#), "a send is refused: {arguments}");
                    counts.acked.count();
                }
                _ => {}
            },
        }
    }
    connection.close().await;
    Ok(())
}
