//! A crowd of simulated users that chat through several gateways, and what they all see.

use std::{sync::Arc, time::Duration};

use load_test::{tokens::TokenIssuer, transport::Endpoint};
use promises::{MatchFacts, Promise, Tally};
use reqwest::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    facts::Database,
    people::{
        life::{Identity, Life},
        stranger::Stranger,
    },
    stalls::Stalls,
};

mod matchmaker;
pub(crate) mod room;
pub(crate) mod roster;
pub(crate) mod world;

use matchmaker::Matchmaker;
use room::{MILESTONE, Pairing, Room};
use world::{Ground, Phase, World};
pub use world::{Progress, Refusals};

/// Handshakes in flight at a time.
const HANDSHAKES: usize = 64;
/// Users that have no match.
const STRANGERS: usize = 3;
/// How often it is looked whether everything has settled.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// That a milestone was announced is recorded after it was, and again some seconds later if that fails.
const ANNOUNCEMENT_LIMIT: Duration = Duration::from_secs(10);
const ANNOUNCEMENT_POLL: Duration = Duration::from_millis(250);
/// How long users may take to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// Who chats, where, and how much.
#[derive(Debug, Clone)]
pub struct CrowdConfig {
    /// Base URLs, `http://host:port`.
    pub gateways: Vec<String>,
    /// The secret of the stack's tokens (HS256).
    pub jwt_secret: String,
    /// Connections: rounded up to a multiple of eight. Some users have two, some are in two matches.
    pub clients: usize,
    /// Messages a second that all clients together mean to send.
    pub rate: f64,
    /// Messages after which a pair goes on in another match, so that milestones are reached all the time.
    pub match_length: u32,
    /// Makes what the users do repeatable, as far as the system lets it.
    pub seed: u64,
}

/// What became of a crowd.
#[derive(Debug)]
pub struct Outcome {
    /// What was counted.
    pub progress: Progress,
    /// How often what was refused, by code.
    pub refusals: Refusals,
    /// When whom had to wait.
    pub stalls: Stalls,
    /// What was checked and found, from what everybody saw and from what the database holds.
    pub tally: Tally,
}

/// A crowd at work.
#[derive(Debug)]
pub struct Crowd {
    world: Arc<World>,
    pairings: Vec<Arc<Pairing>>,
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Creates the matches and lets the users connect and chat.
    ///
    /// # Errors
    /// When a gateway cannot be found or the matches cannot be created.
    pub async fn start(config: CrowdConfig) -> anyhow::Result<Self> {
        anyhow::ensure!(!config.gateways.is_empty(), "a crowd needs a gateway");
        let mut gateways = Vec::new();
        for url in &config.gateways {
            gateways.push(Endpoint::resolve(url).await?);
        }
        let couples = roster::couples(config.clients);
        let clients = config.clients.div_ceil(roster::TOWN) * roster::TOWN;
        let (phase, changes) = watch::channel(Phase::Chatting);
        let world = Arc::new(World::new(Ground {
            gateways,
            http: Client::builder().timeout(Duration::from_secs(20)).build()?,
            rate: config.rate / f64::from(u32::try_from(clients)?),
            match_length: config.match_length,
            seed: config.seed,
            phase: changes,
        }));
        let pairings = (0..).zip(couples).map(|(number, couple)| Arc::new(Pairing::new(&world, couple, number)));
        let pairings: Vec<_> = pairings.collect();
        let tokens = world::tokens(&config.jwt_secret);
        let matchmaker = Matchmaker::new(&world, &pairings, tokens.service()?);
        matchmaker.create_first().await?;
        let mut crowd = Self { world, pairings, phase, tasks: JoinSet::new() };
        crowd.populate(clients, &tokens)?;
        crowd.tasks.spawn(matchmaker.run());
        Ok(crowd)
    }

    fn populate(&mut self, clients: usize, tokens: &TokenIssuer) -> anyhow::Result<()> {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        for number in 0..clients {
            let user = self.world.user_id(roster::user_of(number));
            let pairings = self.pairings.iter().filter_map(|pairing| {
                let slot = pairing.couple.clients.iter().position(|(client, _)| *client == number)?;
                Some((Arc::clone(pairing), u8::try_from(slot).ok()?))
            });
            let identity = Identity { number, token: tokens.user(&user)?, user, pairings: pairings.collect() };
            self.tasks.spawn(Life::new(&self.world, identity, &handshakes).live());
        }
        for number in 0..STRANGERS {
            let name = format!("{}-stranger{number}", self.world.name);
            let stranger = Stranger {
                world: Arc::clone(&self.world),
                token: tokens.user(&name)?,
                name,
                pairings: self.pairings.clone(),
                rng: fastrand::Rng::with_seed(self.world.seed ^ 0x5EC2_E700 ^ number as u64),
            };
            self.tasks.spawn(stranger.live());
        }
        Ok(())
    }

    /// The zero of the crowd's times.
    pub fn origin(&self) -> Instant {
        self.world.origin
    }

    /// What it is at.
    pub fn progress(&self) -> Progress {
        *self.world.progress()
    }

    /// When whom had to wait, so far.
    pub fn stalls(&self) -> Stalls {
        self.world.stalls().clone()
    }

    /// Stops sending, waits at most `settle` until all that was acked has arrived everywhere, hangs up, and compares
    /// with what the database holds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn finish(mut self, settle: Duration, database_url: &str) -> anyhow::Result<Outcome> {
        // Receivers live as long as the world.
        let _ = self.phase.send(Phase::Settling);
        let deadline = Instant::now() + settle;
        // What was about to begin has begun by the first look.
        sleep(SETTLE_POLL).await;
        while !self.has_settled() && Instant::now() < deadline {
            sleep(SETTLE_POLL).await;
        }
        self.judge_absent();
        let _ = self.phase.send(Phase::Over);
        let leaving = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LEAVE_LIMIT, leaving).await.is_err() {
            self.tasks.shutdown().await;
        }
        let (progress, refusals, stalls) = (self.progress(), self.world.refusals(), self.stalls());
        let tally = self.conclude(database_url).await?;
        Ok(Outcome { progress, refusals, stalls, tally })
    }

    /// Nothing is open any more, and everybody has the current chat open and has been given all of every open one.
    fn has_settled(&self) -> bool {
        self.pairings.iter().all(|pairing| {
            let slots = 0..u8::try_from(pairing.couple.clients.len()).unwrap_or_default();
            let is_done = |room: &Arc<Room>| {
                let chat = room.chat();
                let has_all = |slot| !chat.is_joined(slot) || chat.has_caught_up(slot);
                chat.open() == 0 && !chat.awaits_close() && slots.clone().all(has_all)
            };
            let is_there = |room: Arc<Room>| slots.clone().all(|slot| room.chat().is_joined(slot));
            pairing.all_rooms().iter().all(is_done) && pairing.current().is_some_and(is_there)
        })
    }

    /// Whoever is not there at the end was not let back in.
    fn judge_absent(&self) {
        for pairing in &self.pairings {
            let Some(room) = pairing.current() else { continue };
            let chat = room.chat();
            for (slot, (client, _)) in (0..).zip(&pairing.couple.clients) {
                let what = || (format!("client {client} could not open the chat again"), chat.about(slot));
                self.world.judge(Promise::Answered, &room.id, (!chat.is_joined(slot)).then(what));
            }
        }
    }

    async fn conclude(&self, database_url: &str) -> anyhow::Result<Tally> {
        let database = Database::connect(database_url).await?;
        let mut tally = std::mem::take(&mut *self.world.tally());
        let announced_by = Instant::now() + ANNOUNCEMENT_LIMIT;
        for room in self.pairings.iter().flat_map(|pairing| pairing.all_rooms()) {
            let mut facts = database.read(&room.id, &room.users).await?;
            while !is_announced(&facts) && Instant::now() < announced_by {
                sleep(ANNOUNCEMENT_POLL).await;
                facts = database.read(&room.id, &room.users).await?;
            }
            tally.merge(room.take_chat().conclude(&facts));
        }
        database.close().await;
        Ok(tally)
    }
}

/// Whether nothing more is to come of a match's milestone.
fn is_announced(facts: &MatchFacts) -> bool {
    facts.last_seq < MILESTONE || facts.milestones.iter().any(|row| row.announced)
}
