//! Redis as its contract: one register per match, changed in one step, lost at any time.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use proto::MatchId;

use crate::{
    host::Host,
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
    pub(crate) host: Host,
    mistake: Option<Mistake>,
    of: RefCell<BTreeMap<MatchId, Register>>,
}

impl Registers {
    pub(crate) fn new(net: &Rc<Network>, mistake: Option<Mistake>) -> Self {
        Self { host: Host::new(net), mistake, of: RefCell::default() }
    }

    /// Loses everything.
    pub(crate) fn flush(&self) {
        self.of.borrow_mut().clear();
    }

    /// Raises a match's count, as `raise.lua` does. `None` when the register is missing and stays so.
    pub(crate) async fn raise(&self, id: &MatchId, count: i64, missing: IfMissing) -> Result<Option<Register>, Away> {
        self.trip(|registers| {
            if missing == IfMissing::Create {
                registers.entry(id.clone()).or_default();
            }
            let register = registers.get_mut(id)?;
            register.count = match self.mistake {
                Some(Mistake::CountEvents) if missing == IfMissing::Leave => register.count + 1,
                _ => register.count.max(count),
            };
            Some(register.clone())
        })
        .await
    }

    /// Remembers that PostgreSQL has a milestone of a match.
    pub(crate) async fn mark_recorded(&self, id: &MatchId, milestone_id: &str) -> Result<(), Away> {
        self.trip(|registers| {
            let register = registers.get_mut(id);
            if let Some(register) = register.filter(|register| register.recorded.iter().all(|it| it != milestone_id)) {
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
        self.host.trip(|| Ok(change(&mut self.of.borrow_mut()))).await
    }
}
