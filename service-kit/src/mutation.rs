//! Services that are broken on purpose, to see that the fault campaign's checker notices, or that it has nothing to
//! notice. Only a build with the feature `mutations` can be broken, by the variable `MUTATION`; in any other build
//! [`is_broken`] is `false`, and what hangs on it is left out.

#[cfg(feature = "mutations")]
use std::{
    env,
    os::unix::process::CommandExt,
    process::{self, Command},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// How long a process serves before it crashes, so that there is one most of the time.
#[cfg(feature = "mutations")]
const SERVES_FOR: Duration = Duration::from_secs(5);
/// How long what other tasks were given before the crash has to get out.
#[cfg(feature = "mutations")]
const LEAVES_WITHIN: Duration = Duration::from_millis(50);

/// What can be broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutation {
    /// A send is acked before it is known whether its COMMIT succeeds.
    AckBeforeCommit,
    /// A repeated clientId is stored again.
    NoDedupe,
    /// What a socket missed is not fetched.
    NoGapHealing,
    /// Milestones count events, instead of raising a register to the highest seq.
    CounterWithoutMax,
    /// A replica crashes when it has acked the message that completes a milestone, before it tells anybody else. No
    /// promise may be broken by this.
    CrashAfterCommit,
}

impl Mutation {
    /// The value of `MUTATION`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::NoDedupe => "no-dedupe",
            Self::NoGapHealing => "no-gap-healing",
            Self::CounterWithoutMax => "counter-without-max",
            Self::CrashAfterCommit => "crash-after-commit",
        }
    }
}

/// The value of `MUTATION`, and when it was looked at first: at the start.
#[cfg(feature = "mutations")]
static CHOSEN: LazyLock<(Option<String>, Instant)> = LazyLock::new(|| (env::var("MUTATION").ok(), Instant::now()));

/// Whether this process is broken in this way.
#[cfg(feature = "mutations")]
pub fn is_broken(how: Mutation) -> bool {
    CHOSEN.0.as_deref() == Some(how.name())
}

/// Whether this process is broken in this way.
#[cfg(not(feature = "mutations"))]
pub const fn is_broken(_how: Mutation) -> bool {
    false
}

/// Crashes, if this process is broken in this way and has served for a while: the program starts anew in its place and
/// knows nothing of what was before.
#[cfg(feature = "mutations")]
pub async fn crash(how: Mutation) {
    if is_broken(how) && CHOSEN.1.elapsed() >= SERVES_FOR {
        tokio::time::sleep(LEAVES_WITHIN).await;
        tracing::warn!("crashing on purpose");
        let failed = env::current_exe().map(|program| Command::new(program).args(env::args_os().skip(1)).exec());
        tracing::error!(?failed, "cannot start anew");
        process::abort();
    }
}

/// Crashes, if this process is broken in this way.
#[cfg(not(feature = "mutations"))]
pub fn crash(_how: Mutation) -> std::future::Ready<()> {
    std::future::ready(())
}
