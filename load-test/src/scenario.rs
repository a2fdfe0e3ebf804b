//! The course of a run: create matches, let the users join, send, drain, judge.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, bail};
use promises::{Chat, Tally};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use crate::{
    config::Config,
    conversation::{self, Conversation},
    identity::{Pair, Side},
    matches,
    outcome::Outcome,
    pacer::Pacer,
    report::Progress,
    run::Run,
    stage::{self, Measured, Stage},
    stats::{self, Counts, Stats, lock},
    tokens::TokenIssuer,
    transport::Endpoint,
    user::{Pace, Phase, User},
};

/// Handshakes in flight at a time.
const HANDSHAKES: usize = 64;
/// The time between "all have joined" and the first send, so that every user has heard of it.
const START_PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked whether everything has settled.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// How long users may take to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// A run under way.
struct Scenario<'a> {
    config: &'a Config,
    run: Arc<Run>,
    origin: Instant,
    phase: watch::Sender<Phase>,
    pairs: Vec<Arc<Pair>>,
    chats: Vec<Arc<Mutex<Chat>>>,
    stages_of_one: Arc<[(f64, Duration)]>,
    users: JoinSet<()>,
    pacer: Arc<Pacer>,
    handshakes: Arc<Semaphore>,
    progress: Progress,
    interrupts: &'a mut mpsc::Receiver<()>,
}

/// Runs it all. An interrupt ends the sending, a second one the draining too; the outcome so far is returned.
///
/// # Errors
/// If it never came to sending: a gateway is unknown, a match cannot be created, not all users could join.
pub async fn run(config: &Config, interrupts: &mut mpsc::Receiver<()>) -> anyhow::Result<Outcome> {
    let gateways = Endpoint::resolve_all(&config.urls).await?;
    let secret = config.jwt_secret.as_deref().context("--jwt-secret is missing")?;
    let tokens = TokenIssuer::new(secret, config.token_lifetime());
    let mut scenario = Scenario::new(config, interrupts)?;
    let pacer = Arc::clone(&scenario.pacer);
    let course = async {
        let result = scenario.course(&gateways, &tokens).await;
        scenario.leave().await;
        result
    };
    tokio::select! {
        result = course => result,
        failed = pacer.run() => bail!("the timer failed: {failed:?}"),
    }
}

impl<'a> Scenario<'a> {
    fn new(config: &'a Config, interrupts: &'a mut mpsc::Receiver<()>) -> anyhow::Result<Self> {
        let name: String = std::iter::repeat_with(fastrand::lowercase).take(8).collect();
        let body = serde_json::to_string(&"m".repeat(config.body_chars))?;
        let run =
            Arc::new(Run { body, rules: config.send_rules(), reading: config.reading, stats: Stats::new()?, name });
        let origin = Instant::now();
        let users = stats::number(2 * config.pairs as u64);
        let pairs: Vec<_> = (0..config.pairs).map(|number| Arc::new(Pair::new(&run.name, number))).collect();
        let chats = pairs.iter().map(|pair| Arc::new(Mutex::new(conversation::chat(&pair.match_id)))).collect();
        Ok(Self {
            stages_of_one: config.stages().iter().map(|stage| (stage.rate / users, stage.duration)).collect(),
            origin,
            phase: watch::Sender::new(Phase::Joining),
            pairs,
            chats,
            users: JoinSet::new(),
            pacer: Arc::new(Pacer::new(2 * config.pairs)?),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            progress: Progress::new(origin),
            run,
            config,
            interrupts,
        })
    }

    async fn course(&mut self, gateways: &[Arc<Endpoint>], tokens: &TokenIssuer) -> anyhow::Result<Outcome> {
        let matches = self.pairs.iter().map(|pair| (pair.match_id.clone(), pair.users.clone()));
        matches::create(matches, gateways, &tokens.service()?).await?;
        self.connect_users(gateways, tokens).await?;
        self.await_joined().await?;
        let (stages, interrupted) = self.send().await;
        self.drain().await;
        Ok(Outcome {
            total: self.run.stats.counters.read(),
            measured: stages.iter().fold(Counts::default(), |sum, stage| sum.plus(&stage.counts)),
            measured_for: stages.iter().map(|stage| stage.lasted).sum(),
            latencies: self.run.stats.total(),
            calmed_after: stage::calmed_after(&stages, self.progress.seconds()),
            stages,
            codes: self.run.stats.codes(),
            check: self.judge(),
            interrupted,
        })
    }

    /// Starts all users at the configured rate.
    async fn connect_users(&mut self, gateways: &[Arc<Endpoint>], tokens: &TokenIssuer) -> anyhow::Result<()> {
        let begun = Instant::now();
        for number in 0..2 * self.pairs.len() {
            let user = self.user(number, gateways, tokens)?;
            let run = Arc::clone(&self.run);
            self.users.spawn(async move { user.live(&run.stats).await });
            let after_s = stats::number(number as u64) / self.config.connect_rate;
            sleep_until(begun + Duration::from_secs_f64(after_s)).await;
        }
        Ok(())
    }

    /// User `number`: the pair `number / 2`, its two members on neighbouring gateways.
    fn user(&self, number: usize, gateways: &[Arc<Endpoint>], tokens: &TokenIssuer) -> anyhow::Result<User> {
        let pair = Arc::clone(&self.pairs[number / 2]);
        let chat = Arc::clone(&self.chats[number / 2]);
        let side = Side::BOTH[number % 2];
        let sources = &self.config.source_addresses;
        Ok(User {
            token: tokens.user(pair.user(side))?,
            conversation: Conversation::new(Arc::clone(&self.run), pair, side, chat),
            endpoint: Arc::clone(&gateways[(number / 2 + number % 2) % gateways.len()]),
            source: (!sources.is_empty()).then(|| sources[number % sources.len()]),
            pace: Pace {
                spacing: self.config.arrivals,
                stages: Arc::clone(&self.stages_of_one),
                seed: self.config.seed.wrapping_add(number as u64),
            },
            origin: self.origin,
            phase: self.phase.subscribe(),
            handshakes: Arc::clone(&self.handshakes),
            number,
            pacer: Arc::clone(&self.pacer),
        })
    }

    async fn await_joined(&mut self) -> anyhow::Result<()> {
        let users = 2 * self.pairs.len() as u64;
        let deadline = Instant::now() + Duration::from_secs_f64(self.config.join_timeout_s);
        while self.run.stats.counters.joined_users.get() < users {
            let counts = self.run.stats.counters.read();
            if counts.refused_users > 0 || Instant::now() >= deadline {
                let reasons = crate::report::by_count(&self.run.stats.codes());
                bail!("only {} of {users} users could join: {reasons}", counts.joined_users);
            }
            if self.pass(Duration::from_millis(50), "joining").await {
                bail!("interrupted before all users had joined");
            }
        }
        Ok(())
    }

    /// Lets the users send. Returns what was found out in each stage, and whether it ended early.
    async fn send(&mut self) -> (Vec<Measured>, bool) {
        let start = self.origin.elapsed() + START_PAUSE;
        let mut end = start + Duration::from_secs_f64(self.config.warmup_s);
        self.phase.send_replace(Phase::Sending { start, measured_from: end });
        let mut interrupted = self.pass_until(end, "warming up").await;
        let mut measured = Vec::new();
        for stage in self.config.stages() {
            if interrupted && !measured.is_empty() {
                break;
            }
            end += stage.duration;
            let (stage, stopped) = self.measure(stage, end, interrupted).await;
            measured.push(stage);
            interrupted |= stopped;
        }
        (measured, interrupted)
    }

    async fn measure(&mut self, stage: Stage, end: Duration, already_over: bool) -> (Measured, bool) {
        let (before, since) = (self.run.stats.counters.read(), self.origin.elapsed());
        let heard_before = self.run.stats.total();
        let stopped = already_over || self.pass_until(end, stage.name).await;
        let measured = Measured {
            stage,
            since,
            lasted: self.origin.elapsed().saturating_sub(since),
            counts: self.run.stats.counters.read().since(&before),
            latencies: self.run.stats.total().since(&heard_before),
        };
        (measured, stopped)
    }

    /// Waits until nothing is open any more, at most as long as configured.
    async fn drain(&mut self) {
        self.phase.send_replace(Phase::Draining);
        let deadline = Instant::now() + Duration::from_secs_f64(self.config.drain_s);
        while !self.is_settled() && Instant::now() < deadline {
            if self.pass(SETTLE_POLL, "draining").await {
                return;
            }
        }
    }

    fn is_settled(&self) -> bool {
        let counts = self.run.stats.counters.read();
        counts.stopped_users + counts.refused_users >= 2 * self.pairs.len() as u64
            && counts.unsettled() == 0
            && self.chats.iter().all(|chat| Side::BOTH.iter().all(|side| lock(chat).has_caught_up(*side as u8)))
    }

    fn judge(&self) -> Tally {
        let mut tally = Tally::default();
        for chat in &self.chats {
            let chat = std::mem::replace(&mut *lock(chat), conversation::chat(""));
            let seen = chat.as_seen();
            tally.merge(chat.conclude(&seen));
        }
        tally
    }

    async fn leave(&mut self) {
        self.phase.send_replace(Phase::Done);
        let all_left = async { while self.users.join_next().await.is_some() {} };
        if timeout(LEAVE_LIMIT, all_left).await.is_err() {
            self.users.shutdown().await;
        }
    }

    async fn pass_until(&mut self, until: Duration, what: &str) -> bool {
        let rest = until.saturating_sub(self.origin.elapsed());
        self.pass(rest, what).await
    }

    /// Lets time pass and shows progress every second. True if it was interrupted.
    async fn pass(&mut self, time: Duration, what: &str) -> bool {
        let over = sleep(time);
        tokio::pin!(over);
        let mut ticks = interval(Duration::from_millis(50));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = &mut over => return false,
                // A closed channel is nobody who could interrupt: `over` goes on alone.
                Some(()) = self.interrupts.recv() => return true,
                _ = ticks.tick() => self.progress.tick(&self.run.stats, what),
            }
        }
    }
}
