//! Schedules from a seed.

use std::time::Duration;

use super::{Fault, Kind, Schedule};

/// The users get to know each other before anything breaks.
const FIRST_AT_MS: u64 = 2_000;
/// Between the end of a fault and the next one: long enough to tell whose stall it was, in most cases.
const PAUSE_MS: std::ops::Range<u64> = 500..4_000;
/// One in so many faults strikes while the one before still lasts.
const OVERLAP_ONE_IN: u32 = 4;
/// What is broken at the end of a run has this long to recover while messages still flow.
const QUIET_END_MS: u64 = 2_000;
const SERVICES: [&str; 3] = ["chat-service", "milestone-service", "signaling-service"];
const ROLLED: [&str; 4] = ["gateway", SERVICES[0], SERVICES[1], SERVICES[2]];
/// Who connects to whom, as the services' flags tell. What every message takes stands twice.
const LINKS: [(&str, &str); 18] = [
    ("clients", "gateway"),
    ("clients", "gateway"),
    ("gateway", "nats"),
    ("gateway", "nats"),
    ("chat-service", "nats"),
    ("chat-service", "nats"),
    ("chat-service", "postgres"),
    ("chat-service", "postgres"),
    ("gateway", "chat-service"),
    ("gateway", "milestone-service"),
    ("gateway", "signaling-service"),
    ("milestone-service", "nats"),
    ("milestone-service", "redis"),
    ("milestone-service", "chat-service"),
    ("signaling-service", "nats"),
    ("signaling-service", "redis"),
    ("signaling-service", "chat-service"),
    ("signaling-service", "milestone-service"),
];
/// Jumps of clocks in seconds: a step of NTP, a wrong time zone, a battery that is empty.
const JUMPS_S: [i64; 6] = [-3_600, -30, -2, 2, 30, 86_400];

/// What there is that can break.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many gateways.
    pub gateways: u16,
    /// How many replicas of each service.
    pub replicas: u16,
    /// How many NATS nodes.
    pub nats: u16,
    /// Whether PostgreSQL has a standby.
    pub has_standby: bool,
    /// Whether clocks of processes can be set.
    pub has_clocks: bool,
}

impl Schedule {
    /// The faults of a seed: of these kinds (all if there are none) as far as the set-up has them, over this time.
    pub fn generate(seed: u64, duration: Duration, setup: &Setup, only: &[Kind]) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| only.is_empty() || only.iter().any(|wanted| wanted.name() == kind.name()))
            .filter(|kind| setup.has(*kind))
            .collect();
        let end_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).saturating_sub(QUIET_END_MS);
        let mut faults = Vec::new();
        let mut at_ms = FIRST_AT_MS;
        let mut is_promoted = false;
        while at_ms < end_ms {
            let Some(kind) = dice.choice(&kinds).copied() else { break };
            // One standby can be promoted once.
            if kind != Kind::Promote || !is_promoted {
                is_promoted |= kind == Kind::Promote;
                let fault = setup.fault(kind, at_ms, end_ms, &mut dice);
                at_ms = next_at_ms(&fault, &mut dice);
                faults.push(fault);
            }
        }
        Self::new(faults)
    }
}

fn next_at_ms(fault: &Fault, dice: &mut fastrand::Rng) -> u64 {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if dice.u32(..OVERLAP_ONE_IN) == 0 {
        ms(fault.at) + dice.u64(..=ms(fault.lasts)) + 1
    } else {
        ms(fault.end()) + dice.u64(PAUSE_MS)
    }
}

impl Setup {
    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Promote => self.has_standby,
            Kind::LameDuck => self.nats > 1,
            Kind::Clock(_) => self.has_clocks,
            _ => true,
        }
    }

    fn fault(&self, kind: Kind, at_ms: u64, end_ms: u64, dice: &mut fastrand::Rng) -> Fault {
        let (kind, target) = match kind {
            Kind::Kill | Kind::Freeze | Kind::Stop => (kind, self.process(dice)),
            Kind::Roll => (kind, any(&ROLLED, dice).to_owned()),
            Kind::Slow(_) => (Kind::Slow(dice.i64(5..400)), self.link(dice)),
            Kind::Cut | Kind::Silent | Kind::HalfOpen => (kind, self.link(dice)),
            Kind::Wipe => (kind, "nats".to_owned()),
            Kind::LameDuck => (kind, self.one("nats", dice)),
            Kind::Flush => (kind, "redis".to_owned()),
            Kind::Promote | Kind::DiskFull => (kind, "postgres".to_owned()),
            Kind::Lock => (kind, "matches".to_owned()),
            Kind::Clock(_) => (Kind::Clock(any(&JUMPS_S, dice)), self.service(dice)),
        };
        let longest_ms = match kind {
            Kind::Flush | Kind::Promote | Kind::Roll => 0,
            Kind::Freeze | Kind::Silent | Kind::HalfOpen | Kind::Slow(_) | Kind::Clock(_) => 8_000,
            _ => 4_000,
        };
        // Most are short, some are long.
        let lasts_ms = dice.u64(..=longest_ms).min(dice.u64(..=longest_ms)).min(end_ms.saturating_sub(at_ms));
        Fault { at: Duration::from_millis(at_ms), lasts: Duration::from_millis(lasts_ms), kind, target }
    }

    /// Any process, each kind of server and service equally likely.
    fn process(&self, dice: &mut fastrand::Rng) -> String {
        match dice.u32(..8) {
            0 | 1 => self.one("gateway", dice),
            2 => self.one("postgres", dice),
            3 => self.one("redis", dice),
            4 => self.one("nats", dice),
            // All of it.
            5 if self.nats > 1 && dice.bool() => "nats".to_owned(),
            _ => self.replica(dice),
        }
    }

    fn service(&self, dice: &mut fastrand::Rng) -> String {
        if dice.u32(..3) == 0 { self.one("gateway", dice) } else { self.replica(dice) }
    }

    fn replica(&self, dice: &mut fastrand::Rng) -> String {
        // Most goes through chat-service.
        let service = if dice.bool() { "chat-service" } else { any(&SERVICES, dice) };
        self.one(service, dice)
    }

    fn link(&self, dice: &mut fastrand::Rng) -> String {
        let (from, to) = any(&LINKS, dice);
        format!("{}>{}", self.one(from, dice), self.one(to, dice))
    }

    /// One of those of this kind, as a stack names them: without a number where there can be no other.
    fn one(&self, kind: &str, dice: &mut fastrand::Rng) -> String {
        let count = match kind {
            "gateway" => self.gateways,
            "nats" if self.nats > 1 => self.nats,
            "postgres" if self.has_standby => 2,
            "nats" | "postgres" | "redis" | "clients" => return kind.to_owned(),
            _ => self.replicas,
        };
        format!("{kind}-{}", dice.u16(..count.max(1)))
    }
}

fn any<T: Copy>(choices: &[T], dice: &mut fastrand::Rng) -> T {
    choices[dice.usize(..choices.len())]
}
