//! What strikes when: a list of faults with a compact text form. Pure: no IO, no clock, and a seed gives the same list.
//!
//! ```text
//! 2+1.5 kill chat-service-0; 4+3 slow=80 gateway-0>nats; 8 flush redis; 9+2 clock=-3600 chat-service-1
//! ```
//! A fault is `AT[+FOR] KIND[=VALUE] TARGET`, times in seconds since the users began. A target is a process, several
//! (`nats` is all of its nodes, `gateway` all gateways), a link (`gateway-0>nats`, who connects first), or a table.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context as _, Error, Result, bail, ensure};

mod generation;
mod steps;

pub use generation::Setup;
pub use steps::Edge;

/// Nothing strikes later, and nothing lasts longer.
const MAX_TIME: Duration = Duration::from_hours(24);
/// The largest jump of a clock and the largest delay of a link that can be written.
const MAX_VALUE: i64 = 1_000_000;

/// What a fault does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// SIGKILL; started again when the time is over.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Freeze,
    /// An orderly stop; started again when the time is over.
    Stop,
    /// One of the targets after the other is stopped in good order and started again.
    Roll,
    /// A link resets its connections and takes no new ones.
    Cut,
    /// A link is slower, by so many milliseconds each way.
    Slow(i64),
    /// A link accepts connections and passes nothing.
    Silent,
    /// A link passes requests and no answers.
    HalfOpen,
    /// NATS is killed and its data is gone.
    Wipe,
    /// A NATS node asks its clients to leave, and ends.
    LameDuck,
    /// All of Redis' data is gone.
    Flush,
    /// The primary is killed and the standby takes over.
    Promote,
    /// No more bytes can be written to any file.
    DiskFull,
    /// A transaction holds every row of a table.
    Lock,
    /// The wall clock jumps by so many seconds, and back.
    Clock(i64),
}

impl Kind {
    /// One of each, with zero for values.
    pub const ALL: [Self; 15] = [
        Self::Kill,
        Self::Freeze,
        Self::Stop,
        Self::Roll,
        Self::Cut,
        Self::Slow(0),
        Self::Silent,
        Self::HalfOpen,
        Self::Wipe,
        Self::LameDuck,
        Self::Flush,
        Self::Promote,
        Self::DiskFull,
        Self::Lock,
        Self::Clock(0),
    ];

    /// As it is written, without its value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Stop => "stop",
            Self::Roll => "roll",
            Self::Cut => "cut",
            Self::Slow(_) => "slow",
            Self::Silent => "silent",
            Self::HalfOpen => "half-open",
            Self::Wipe => "wipe",
            Self::LameDuck => "lame-duck",
            Self::Flush => "flush",
            Self::Promote => "promote",
            Self::DiskFull => "disk-full",
            Self::Lock => "lock",
            Self::Clock(_) => "clock",
        }
    }

    /// The kind of this name, with zero for a value.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.with_context(|| format!("there is no fault {name:?}: {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// Whether it breaks a link, and not a process.
    pub fn is_of_links(self) -> bool {
        matches!(self, Self::Cut | Self::Slow(_) | Self::Silent | Self::HalfOpen)
    }

    fn value(self) -> Option<i64> {
        match self {
            Self::Slow(value) | Self::Clock(value) => Some(value),
            _ => None,
        }
    }

    fn with_value(self, value: i64) -> Option<Self> {
        match self {
            Self::Slow(_) if value >= 0 => Some(Self::Slow(value)),
            Self::Clock(_) => Some(Self::Clock(value)),
            _ => None,
        }
    }
}

/// Something that breaks, and when it is whole again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// When it strikes, since the users began. In whole milliseconds.
    pub at: Duration,
    /// How long it lasts; zero where there is nothing to end.
    pub lasts: Duration,
    /// What happens.
    pub kind: Kind,
    /// To whom.
    pub target: String,
}

impl Fault {
    /// What it is counted as in the report: `kill gateway`, `cut gateway>nats`, whichever of them it was.
    pub fn label(&self) -> String {
        let group = |name: &str| match name.rsplit_once('-') {
            Some((group, number)) if number.bytes().all(|c| c.is_ascii_digit()) => group.to_owned(),
            _ => name.to_owned(),
        };
        let target: Vec<String> = self.target.split('>').map(group).collect();
        let target = target.join(">");
        let all = if self.hits_several() { "all " } else { "" };
        format!("{} {all}{target}", self.kind.name())
    }

    /// Whether `kill nats` of a cluster, for example: everybody of a kind at once.
    fn hits_several(&self) -> bool {
        matches!(self.kind, Kind::Kill | Kind::Freeze | Kind::Stop)
            && ["gateway", "chat-service", "milestone-service", "signaling-service"].contains(&self.target.as_str())
    }

    /// When it is over.
    pub fn end(&self) -> Duration {
        self.at + self.lasts
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Seconds(self.at))?;
        if !self.lasts.is_zero() {
            write!(f, "+{}", Seconds(self.lasts))?;
        }
        write!(f, " {}", self.kind.name())?;
        if let Some(value) = self.kind.value() {
            write!(f, "={value}")?;
        }
        write!(f, " {}", self.target)
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [time, kind, target] = words[..] else {
            bail!("{text:?} is not AT[+FOR] KIND[=VALUE] TARGET, as in 2+1.5 kill chat-service-0")
        };
        let (at, lasts) = time.split_once('+').unwrap_or((time, "0"));
        Ok(Self {
            at: at.parse::<Seconds>()?.0,
            lasts: lasts.parse::<Seconds>()?.0,
            kind: kind.parse()?,
            target: target.to_owned(),
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let kind = Self::named(name)?;
        match (value, kind.value()) {
            (None, None) => Ok(kind),
            (None, Some(_)) => bail!("{name} needs a value, as in {name}=80"),
            (Some(_), None) => bail!("{name} takes no value"),
            (Some(value), Some(_)) => {
                let number = value.parse::<i64>().ok().filter(|number| number.abs() <= MAX_VALUE);
                let kind = number.and_then(|number| kind.with_value(number));
                kind.with_context(|| format!("{name}={value} is not possible"))
            }
        }
    }
}

/// A whole list of faults, by the time at which they strike.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Schedule {
    faults: Vec<Fault>,
}

impl Schedule {
    /// These faults, put in order.
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.at);
        Self { faults }
    }

    /// In the order in which they strike.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// When the last fault is over.
    pub fn end(&self) -> Duration {
        self.faults.iter().map(Fault::end).max().unwrap_or_default()
    }

    /// Whether a fault of such a kind is among them.
    pub fn has(&self, is_such: impl Fn(Kind) -> bool) -> bool {
        self.faults.iter().any(|fault| is_such(fault.kind))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("none");
        }
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        f.write_str(&faults.join("; "))
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        let faults = text.split(';').map(str::trim).filter(|fault| !fault.is_empty());
        Ok(Self::new(faults.map(Fault::from_str).collect::<Result<_>>()?))
    }
}

/// Seconds as they are written: `2`, `0.25`, at most three decimals.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs())?;
        match self.0.subsec_millis() {
            0 => Ok(()),
            ms => write!(f, ".{}", format!("{ms:03}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Seconds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
        let seconds = seconds.with_context(|| format!("{text:?} is not a time in seconds"))?;
        ensure!(seconds <= MAX_TIME.as_secs_f64(), "{text} s is too long");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a day, and not negative")]
        Ok(Self(Duration::from_millis((seconds * 1_000.0).round() as u64)))
    }
}

#[cfg(test)]
mod tests;
