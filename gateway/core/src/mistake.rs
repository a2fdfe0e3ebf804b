//! Rules that can be broken on purpose, to see that the simulation and the tests notice. In a build that ships none can
//! be.

/// A mistake that somebody could make in the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// What comes twice is delivered twice.
    NoDrop,
    /// What comes is delivered, gap or not.
    NoHold,
    /// What was missed is never fetched.
    NoHealing,
    /// Heads are never compared.
    NoComparison,
    /// A change is told although messages before it are missing.
    EarlyChanges,
    /// Who is removed from a match keeps its chat.
    KeepRemoved,
    /// What arrives while a join reads its snapshot is forgotten.
    ForgetHeld,
    /// A cursor is believed whoever brings it.
    NoMembership,
    /// A cursor is believed whatever database it is of.
    AnyEpoch,
    /// A step of a call that the cursor names is told again.
    ForgetCalls,
    /// Nobody asks what became of a call while a device was away.
    ForgetEnds,
    /// Everybody may join.
    OpenDoors,
    /// A socket is given its own messages.
    OwnMessages,
    /// Sends of one socket are in flight side by side.
    NoTurns,
    /// A repeated announcement is told again.
    NoTold,
    /// An announcement is told also to who has connected since the milestone was reached.
    ToldElsewhere,
    /// Who has typed is shown as typing for ever.
    NoExpiry,
    /// A step of a call is told as often as it is heard.
    CallsAgain,
    /// A refused command is not answered.
    SilentRefusals,
    /// The handler of a client's event panics.
    PanicInEvent,
    /// The beginning of a command's turn panics.
    PanicInTurn,
    /// What is done with an answer of a service panics.
    PanicInAnswer,
    /// What is done with an event of the inbox panics.
    PanicInInbox,
}

#[cfg(any(test, feature = "mistakes"))]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake, or none, for what this thread does from now on.
#[cfg(any(test, feature = "mistakes"))]
pub fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// Whether this mistake is made.
#[cfg(any(test, feature = "mistakes"))]
pub(crate) fn is_planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Whether this mistake is made.
#[cfg(not(any(test, feature = "mistakes")))]
pub(crate) const fn is_planted(_: Mistake) -> bool {
    false
}

/// Panics if this mistake is made.
pub(crate) fn panic_if_planted(mistake: Mistake) {
    assert!(!is_planted(mistake), "on purpose");
}
