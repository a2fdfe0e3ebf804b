//! Services that are broken on purpose, to see that the fault campaign's checker notices. Only a build with the feature `mutations` can be
//! broken, by the variable `MUTATION`; in any other build [`is_broken`] is `false`, and what hangs on it is left out.

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
}

impl Mutation {
    /// The value of `MUTATION`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::NoDedupe => "no-dedupe",
            Self::NoGapHealing => "no-gap-healing",
            Self::CounterWithoutMax => "counter-without-max",
        }
    }
}

/// Whether this process is broken in this way.
#[cfg(feature = "mutations")]
pub fn is_broken(how: Mutation) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("MUTATION").ok());
    CHOSEN.as_deref() == Some(how.name())
}

/// Whether this process is broken in this way.
#[cfg(not(feature = "mutations"))]
pub const fn is_broken(_how: Mutation) -> bool {
    false
}
