//! A crowd of simulated users that chat through several gateways, and what they all see.

use std::{sync::Arc, time::Duration};

use load_test::{matches, tokens::TokenIssuer, transport::Endpoint};
use local_stack::stack::Manifest;
use promises::{MatchFacts, Promise, Tally};
use reqwest::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    config::Config,
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
use world::{Phase, World};
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
    /// Creates the matches and lets the users of a seed connect and chat. Some have two connections, some are in two
    /// matches.
    pub async fn start(config: &Config, seed: u64, stack: &Manifest) -> anyhow::Result<Self> {
        let urls: Vec<_> = stack.gateways.iter().map(|gateway| gateway.url.clone()).collect();
        let gateways = Endpoint::resolve_all(&urls).await?;
        let clients = usize::try_from(config.clients)?.next_multiple_of(roster::TOWN);
        let couples = roster::couples(clients);
        let (phase, changes) = watch::channel(Phase::Chatting);
        let world = Arc::new(World {
            http: Client::builder().timeout(Duration::from_secs(20)).build()?,
            rate: config.rate / f64::from(u32::try_from(clients)?),
            match_length: config.match_length,
            seed,
            ..World::new(gateways, changes)
        });
        let pairings = (0..).zip(couples).map(|(number, couple)| Arc::new(Pairing::new(&world, couple, number)));
        let pairings: Vec<_> = pairings.collect();
        let tokens = world::tokens(&stack.jwt_secret);
        let token = tokens.service()?;
        let rooms = pairings.iter().filter_map(|pairing| pairing.current());
        let first = rooms.map(|room| (room.id.clone(), room.members.clone()));
        matches::create(first, &world.gateways, &token).await?;
        let matchmaker = Matchmaker::new(&world, &pairings, token);
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

    /// Stops sending, waits at most `settle` until all that was acked has arrived everywhere, hangs up, and compares
    /// with what the database holds.
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
        let tally = self.conclude(database_url).await?;
        let stalls = std::mem::take(&mut *self.world.stalls());
        Ok(Outcome { progress: self.progress(), refusals: self.world.refusals(), stalls, tally })
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
                self.world.judge_traced(Promise::Answered, &room.id, (!chat.is_joined(slot)).then(what));
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
