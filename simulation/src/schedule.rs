//! What happens in one run: what people do, which faults strike and when, how bad the network is. All of it follows from a seed.

use std::{fmt, time::Duration};

use fastrand::Rng;

/// Devices of people; the [`cast`](crate::cast) says whose they are.
pub(crate) const CLIENTS: usize = 4;
/// Matches.
pub(crate) const CHATS: usize = 2;
/// Replicas of each kind.
pub(crate) const GATEWAYS: usize = 2;
pub(crate) const REPLICAS: usize = 2;
pub(crate) const COUNTERS: usize = 2;

/// How long people act and faults strike; then everything has to come right.
const LONGEST_MS: u64 = 25_000;
const MOST_STEPS: usize = 70;
const LONGEST_FAULT_MS: u64 = 9_000;

/// One run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Decides every chance that no step names: delays, losses, who is asked.
    pub seed: u64,
    /// How bad the network is while faults strike.
    pub noise: Noise,
    /// What happens, by time.
    pub steps: Vec<Step>,
}

/// Probabilities in 1,000 while faults strike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noise {
    /// An event for an inbox is lost.
    pub inbox_loss: u32,
    /// A request or its answer is lost.
    pub request_loss: u32,
    /// A message takes up to two seconds.
    pub spike: u32,
    /// The answer to a COMMIT is lost.
    pub commit_unknown: u32,
    /// The stream delivers an event twice.
    pub duplicate: u32,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants and their fields say it")]
pub enum Action {
    /// A client sends a new message, as often as it takes.
    Send {
        client: usize,
        chat: usize,
    },
    /// A client sends one again that was acked before.
    Repeat {
        client: usize,
    },
    /// A client sends another text under the clientId of one that was acked before.
    Contradict {
        client: usize,
    },
    Join {
        client: usize,
        chat: usize,
        keep_others: bool,
    },
    Leave {
        client: usize,
        chat: usize,
    },
    /// Somebody who is no member tries everything.
    Intrude {
        client: usize,
        chat: usize,
    },
    /// A client loses its connection; the gateway notices later, or much later.
    Cut {
        client: usize,
        noticed_ms: u64,
    },
    /// A client starts anew: it has kept its messages, not its session.
    Reload {
        client: usize,
    },
    CloseMatch {
        chat: usize,
    },
    KillGateway {
        index: usize,
        for_ms: u64,
    },
    FreezeGateway {
        index: usize,
        for_ms: u64,
    },
    KillReplica {
        index: usize,
        for_ms: u64,
    },
    FreezeReplica {
        index: usize,
        for_ms: u64,
    },
    KillCounter {
        index: usize,
        for_ms: u64,
    },
    CutGatewayFromNats {
        index: usize,
        for_ms: u64,
    },
    CutReplicaFromNats {
        index: usize,
        for_ms: u64,
    },
    NatsDown {
        for_ms: u64,
    },
    WipeStream,
    FlushRedis,
    RedisDown {
        for_ms: u64,
    },
    RestartPostgres {
        for_ms: u64,
    },
}

impl Schedule {
    /// The run of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Some runs are short and nearly calm, so that what goes wrong there is easy to read; most are stormy.
        let (length_ms, count) = (rng.u64(2_000..LONGEST_MS), rng.usize(6..MOST_STEPS));
        let faults = [0, 15, 30, 50][rng.usize(0..4)];
        let noise = if rng.bool() { Noise::default() } else { Noise::of(&mut rng) };
        let joins = (0..CLIENTS).map(|client| Action::Join { client, chat: client % CHATS, keep_others: true });
        let mut actions: Vec<Action> = joins.collect();
        actions.extend((0..count).map(|_| if rng.usize(0..100) < faults { fault(&mut rng) } else { deed(&mut rng) }));
        let at = |action| Step { at: Duration::from_millis(rng.u64(0..length_ms)), action };
        let mut steps: Vec<Step> = actions.into_iter().map(at).collect();
        steps.sort_by_key(|step| step.at);
        Self { seed, noise, steps }
    }

    /// When the last step is over, and with it what it broke.
    pub(crate) fn calm_at(&self) -> Duration {
        let ends = self.steps.iter().map(|step| step.at + step.action.lasts());
        ends.max().unwrap_or_default() + Duration::from_millis(100)
    }
}

impl Noise {
    fn of(rng: &mut Rng) -> Self {
        let mut up_to = |most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
        Self {
            inbox_loss: up_to(300),
            request_loss: up_to(100),
            spike: up_to(100),
            commit_unknown: up_to(200),
            duplicate: up_to(300),
        }
    }
}

impl Action {
    /// The client that does it, if one does.
    pub(crate) fn client(self) -> Option<usize> {
        match self {
            Self::Send { client, .. }
            | Self::Repeat { client }
            | Self::Contradict { client }
            | Self::Join { client, .. }
            | Self::Leave { client, .. }
            | Self::Intrude { client, .. }
            | Self::Cut { client, .. }
            | Self::Reload { client } => Some(client),
            _ => None,
        }
    }

    fn lasts(self) -> Duration {
        Duration::from_millis(match self {
            Self::KillGateway { for_ms, .. }
            | Self::FreezeGateway { for_ms, .. }
            | Self::KillReplica { for_ms, .. }
            | Self::FreezeReplica { for_ms, .. }
            | Self::KillCounter { for_ms, .. }
            | Self::CutGatewayFromNats { for_ms, .. }
            | Self::CutReplicaFromNats { for_ms, .. }
            | Self::NatsDown { for_ms }
            | Self::RedisDown { for_ms }
            | Self::RestartPostgres { for_ms } => for_ms,
            _ => 0,
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}", self.seed, self.noise)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{:>9.3} s  {:?}", step.at.as_secs_f64(), step.action))
    }
}

fn deed(rng: &mut Rng) -> Action {
    let (client, chat) = (rng.usize(0..CLIENTS), rng.usize(0..CHATS));
    match rng.u32(0..100) {
        0..55 => Action::Send { client, chat },
        55..60 => Action::Repeat { client },
        60..63 => Action::Contradict { client },
        63..72 => Action::Join { client, chat, keep_others: rng.bool() },
        72..75 => Action::Leave { client, chat },
        75..78 => Action::Intrude { client, chat },
        78..93 => Action::Cut { client, noticed_ms: [0, 0, 700, 20_000][rng.usize(0..4)] },
        93..99 => Action::Reload { client },
        _ => Action::CloseMatch { chat },
    }
}

fn fault(rng: &mut Rng) -> Action {
    let (index, for_ms) = (rng.usize(0..2), rng.u64(1..LONGEST_FAULT_MS));
    match rng.u32(0..11) {
        0 => Action::KillGateway { index, for_ms },
        1 => Action::FreezeGateway { index, for_ms },
        2 => Action::KillReplica { index, for_ms },
        3 => Action::FreezeReplica { index, for_ms },
        4 => Action::KillCounter { index, for_ms },
        5 => Action::CutGatewayFromNats { index, for_ms },
        6 => Action::CutReplicaFromNats { index, for_ms },
        7 => Action::NatsDown { for_ms: for_ms / 2 },
        8 => Action::RestartPostgres { for_ms: for_ms / 2 },
        9 => Action::RedisDown { for_ms },
        _ if rng.bool() => Action::WipeStream,
        _ => Action::FlushRedis,
    }
}
