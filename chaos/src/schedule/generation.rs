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
            Kind::Roll => (kind, if dice.bool() { "gateway" } else { "chat-service" }.to_owned()),
            Kind::Slow(_) => (Kind::Slow(dice.i64(5..400)), self.link(dice)),
            Kind::Cut | Kind::Silent | Kind::HalfOpen => (kind, self.link(dice)),
            Kind::Wipe => (kind, "nats".to_owned()),
            Kind::LameDuck => (kind, self.nats_node(dice)),
            Kind::Flush => (kind, "redis".to_owned()),
            Kind::Promote | Kind::DiskFull => (kind, "postgres".to_owned()),
            Kind::Lock => (kind, "matches".to_owned()),
            Kind::Clock(_) => (Kind::Clock(*dice.choice(&JUMPS_S).unwrap_or(&0)), self.service(dice)),
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
            0 | 1 => numbered("gateway", self.gateways, dice),
            2 => "postgres".to_owned(),
            3 => "redis".to_owned(),
            4 => self.nats_node(dice),
            // All of it.
            5 if self.nats > 1 && dice.bool() => "nats".to_owned(),
            _ => self.replica(dice),
        }
    }

    fn nats_node(&self, dice: &mut fastrand::Rng) -> String {
        if self.nats > 1 { numbered("nats", self.nats, dice) } else { "nats".to_owned() }
    }

    fn replica(&self, dice: &mut fastrand::Rng) -> String {
        // Most goes through chat-service.
        let service = if dice.bool() { SERVICES[0] } else { dice.choice(&SERVICES).unwrap_or(&SERVICES[0]) };
        numbered(service, self.replicas, dice)
    }

    fn service(&self, dice: &mut fastrand::Rng) -> String {
        if dice.u32(..3) == 0 { numbered("gateway", self.gateways, dice) } else { self.replica(dice) }
    }

    /// A link that exists: who needs what is told by the services' flags.
    fn link(&self, dice: &mut fastrand::Rng) -> String {
        let gateway = |dice: &mut fastrand::Rng| numbered("gateway", self.gateways, dice);
        let replica = |of: &str, dice: &mut fastrand::Rng| numbered(of, self.replicas, dice);
        let (from, to) = match dice.u32(..9) {
            0 => ("clients".to_owned(), gateway(dice)),
            1 | 2 => (gateway(dice), self.nats_node(dice)),
            3 => (replica("chat-service", dice), self.nats_node(dice)),
            4 => (replica("chat-service", dice), self.database(dice)),
            5 => (gateway(dice), self.replica(dice)),
            6 => (replica("milestone-service", dice), replica("chat-service", dice)),
            7 => (replica("milestone-service", dice), "redis".to_owned()),
            _ => (replica("signaling-service", dice), "redis".to_owned()),
        };
        format!("{from}>{to}")
    }

    fn database(&self, dice: &mut fastrand::Rng) -> String {
        if self.has_standby { numbered("postgres", 2, dice) } else { "postgres".to_owned() }
    }
}

fn numbered(name: &str, count: u16, dice: &mut fastrand::Rng) -> String {
    format!("{name}-{}", dice.u16(..count.max(1)))
}
