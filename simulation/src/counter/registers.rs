//! Redis as its contract: one register per match, changed in one step, lost at any time.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use proto::MatchId;

use crate::{
    mistake::Mistake,
    network::{Away, Network},
};

/// What is known of a match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Register {
    /// The highest seq seen.
    pub(crate) count: i64,
    /// Milestones known to be recorded.
    pub(crate) recorded: Vec<String>,
}

/// Whether a register that is missing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    Leave,
    Create,
}

/// The registers of all matches.
pub(crate) struct Registers {
    net: Rc<Network>,
    of: RefCell<BTreeMap<MatchId, Register>>,
    up_at: Cell<Duration>,
}

impl Registers {
    pub(crate) fn new(net: &Rc<Network>) -> Self {
        Self { net: Rc::clone(net), of: RefCell::default(), up_at: Cell::default() }
    }

    /// Loses everything.
    pub(crate) fn flush(&self) {
        self.of.borrow_mut().clear();
    }

    /// Nobody reaches it for a while.
    pub(crate) fn away_for(&self, lasts: Duration) {
        self.up_at.set(self.up_at.get().max(self.net.sim().now() + lasts));
    }

    /// Whether it answers.
    pub(crate) fn is_up(&self) -> bool {
        self.up_at.get() <= self.net.sim().now()
    }

    /// Raises a match's count, as `raise.lua` does. `None` when the register is missing and stays so.
    pub(crate) async fn raise(
        &self,
        id: &MatchId,
        count: i64,
        if_missing: IfMissing,
        mistake: Option<Mistake>,
    ) -> Result<Option<Register>, Away> {
        self.trip(|registers| {
            if if_missing == IfMissing::Create {
                registers.entry(id.clone()).or_default();
            }
            let register = registers.get_mut(id)?;
            register.count = match mistake {
                Some(Mistake::CountEvents) if if_missing == IfMissing::Leave => register.count + 1,
                _ => register.count.max(count),
            };
            Some(register.clone())
        })
        .await
    }

    /// Remembers that PostgreSQL has a milestone of a match.
    pub(crate) async fn mark_recorded(&self, id: &MatchId, milestone_id: &str) -> Result<(), Away> {
        self.trip(|registers| {
            let register =
                registers.get_mut(id).filter(|register| register.recorded.iter().all(|it| it != milestone_id));
            if let Some(register) = register {
                register.recorded.push(milestone_id.to_owned());
            }
        })
        .await
    }

    /// Removes a match's register.
    pub(crate) async fn forget(&self, id: &MatchId) -> Result<(), Away> {
        self.trip(|registers| drop(registers.remove(id))).await
    }

    /// The matches that have a register.
    pub(crate) async fn scan(&self) -> Result<Vec<MatchId>, Away> {
        self.trip(|registers| registers.keys().cloned().collect()).await
    }

    async fn trip<T>(&self, change: impl FnOnce(&mut BTreeMap<MatchId, Register>) -> T) -> Result<T, Away> {
        self.net.sim().sleep(self.net.delay()).await;
        if !self.is_up() {
            return Err(Away);
        }
        let result = change(&mut self.of.borrow_mut());
        self.net.sim().sleep(self.net.delay()).await;
        Ok(result)
    }
}
