//! What happens in one run: what people do, which faults strike and when, how bad the network is. All of it follows
//! from a seed.

use std::{fmt, time::Duration};

use fastrand::Rng;

/// Devices of people; the [`cast`](crate::cast) says whose they are.
pub(crate) const CLIENTS: u8 = 5;
/// Matches.
pub(crate) const CHATS: usize = 2;
/// Processes of each kind.
pub(crate) const SERVERS: usize = 2;

/// How long people act and faults strike; then everything has to come right.
const LONGEST_MS: u64 = 25_000;
const MOST_STEPS: usize = 70;
const LONGEST_FAULT_MS: u64 = 9_000;
/// From the end of a replica that was stopped to its next beginning.
pub(crate) const RESTART_MS: u64 = 1_000;
/// From the ring of a call to the last repeat of its end.
pub(crate) const CALL_MS: u64 = 6_000;

/// One run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Decides every chance that no step names: delays, losses, who is asked.
    pub(crate) seed: u64,
    pub(crate) noise: Noise,
    /// What happens, by time.
    pub(crate) steps: Vec<Step>,
}

/// Probabilities in 1,000 while faults strike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Noise {
    /// An event for an inbox is lost.
    pub(crate) inbox_loss: u32,
    /// A request or its answer is lost.
    pub(crate) request_loss: u32,
    /// A message takes up to two seconds.
    pub(crate) spike: u32,
    /// The answer to a COMMIT is lost.
    pub(crate) commit_unknown: u32,
    /// The stream delivers an event twice.
    pub(crate) duplicate: u32,
    /// A gateway refuses what it may refuse.
    pub(crate) refusal: u32,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) action: Action,
}

/// A kind of process: of the gateway, of chat-service, of milestone-service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Gateway,
    Replica,
    Counter,
}

/// How a process is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It dies; another one is started later.
    Kill,
    /// It stops where it is.
    Freeze,
    /// It loses its connection.
    CutFromNats,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Act { client: usize, deed: Deed },
    CloseMatch { chat: usize },
    ChangeGuest { chat: usize, is_member: bool },
    Call { chat: usize },
    Drain { gateway: usize, restart_ms: u64 },
    Break { server: Server, index: usize, fault: Fault, for_ms: u64 },
    StopReplica { index: usize, within_ms: u64 },
    NatsDown { for_ms: u64, is_wiped: bool },
    StreamDown { for_ms: u64 },
    RedisDown { for_ms: u64 },
    FlushRedis,
    RestartPostgres { for_ms: u64 },
}

/// What somebody can do: send a new message, one again that was acked before, or another text under the clientId of
/// such a one; react to a message, or again as before; join and leave; begin and stop to type; try all of it as a
/// stranger; lose the connection, which the gateway notices later; or start anew with the messages and without the
/// session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Send { chat: usize },
    Repeat,
    Contradict,
    React { chat: usize },
    ReactAgain,
    Join { chat: usize, keep_others: bool },
    Leave { chat: usize },
    Type { chat: usize, is_typing: bool },
    Intrude { chat: usize },
    Cut { noticed_ms: u64 },
    Reload,
}

impl Schedule {
    /// The run of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Some runs are short and nearly calm, so that what goes wrong there is easy to read; most are stormy.
        let (length_ms, count) = (rng.u64(2_000..LONGEST_MS), rng.usize(6..MOST_STEPS));
        let faults = [0, 15, 30, 50][rng.usize(0..4)];
        let noise = if rng.bool() { Noise::default() } else { Noise::of(&mut rng) };
        let join = |client| Action::Act { client, deed: Deed::Join { chat: client % CHATS, keep_others: true } };
        let mut actions: Vec<Action> = (0..usize::from(CLIENTS)).map(join).collect();
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
            refusal: up_to(100),
        }
    }
}

impl Action {
    fn lasts(self) -> Duration {
        Duration::from_millis(match self {
            Self::StopReplica { within_ms, .. } => within_ms + RESTART_MS,
            Self::Drain { restart_ms, .. } => restart_ms,
            Self::Call { .. } => CALL_MS,
            Self::Break { for_ms, .. }
            | Self::NatsDown { for_ms, .. }
            | Self::StreamDown { for_ms }
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
    let (client, chat) = (rng.usize(0..CLIENTS.into()), rng.usize(0..CHATS));
    let deed = match rng.u32(0..124) {
        0..48 => Deed::Send { chat },
        48..54 => Deed::Type { chat, is_typing: rng.u32(0..3) > 0 },
        54 => return Action::Call { chat },
        55..60 => Deed::Repeat,
        60..63 => Deed::Contradict,
        63..72 => Deed::Join { chat, keep_others: rng.bool() },
        72..75 => Deed::Leave { chat },
        75..78 => Deed::Intrude { chat },
        78..93 => Deed::Cut { noticed_ms: [0, 0, 700, 20_000][rng.usize(0..4)] },
        93..99 => Deed::Reload,
        99 => return Action::CloseMatch { chat },
        100..114 => Deed::React { chat },
        114..118 => Deed::ReactAgain,
        _ => return Action::ChangeGuest { chat: 0, is_member: rng.u32(0..3) > 0 },
    };
    Action::Act { client, deed }
}

fn fault(rng: &mut Rng) -> Action {
    let for_ms = rng.u64(1..LONGEST_FAULT_MS);
    match rng.u32(0..15) {
        0..8 => Action::Break {
            server: [Server::Gateway, Server::Replica, Server::Counter][rng.usize(0..3)],
            index: rng.usize(0..SERVERS),
            fault: [Fault::Kill, Fault::Freeze, Fault::CutFromNats][rng.usize(0..3)],
            for_ms,
        },
        8 => Action::NatsDown { for_ms: for_ms / 2, is_wiped: rng.bool() },
        9 => Action::RestartPostgres { for_ms: for_ms / 2 },
        10 => Action::RedisDown { for_ms },
        11 => Action::StreamDown { for_ms },
        13 => Action::Drain { gateway: rng.usize(0..SERVERS), restart_ms: for_ms.max(1_500) },
        12 => Action::StopReplica { index: rng.usize(0..SERVERS), within_ms: for_ms },
        _ => Action::FlushRedis,
    }
}
