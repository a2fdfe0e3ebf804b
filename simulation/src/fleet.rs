//! The processes of one kind, of which some are up.

use std::cell::RefCell;

use crate::{
    executor::{ProcessId, Sim},
    schedule::SERVERS,
};

/// The processes of one kind, each with what others see of it.
pub(crate) struct Fleet<T> {
    sim: Sim,
    up: RefCell<[Option<(ProcessId, T)>; SERVERS]>,
}

impl<T: Clone> Fleet<T> {
    pub(crate) fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), up: RefCell::default() }
    }

    /// Starts one.
    pub(crate) fn start(&self, index: usize, start: impl FnOnce(ProcessId) -> T) {
        let process = self.sim.start();
        let started = start(process);
        self.up.borrow_mut()[index] = Some((process, started));
    }

    /// Ends one wherever it is.
    pub(crate) fn kill(&self, index: usize) -> Option<ProcessId> {
        let process = self.process(index)?;
        self.sim.kill(process);
        self.up.borrow_mut()[index] = None;
        Some(process)
    }

    /// One of them, if it is up.
    pub(crate) fn get(&self, index: usize) -> Option<T> {
        self.up.borrow()[index].as_ref().map(|(_, up)| up.clone())
    }

    /// The process of one that is up.
    pub(crate) fn process(&self, index: usize) -> Option<ProcessId> {
        self.up.borrow()[index].as_ref().map(|(process, _)| *process)
    }

    /// Any one that is up.
    pub(crate) fn any(&self) -> Option<(ProcessId, T)> {
        let up: Vec<_> = self.up.borrow().iter().flatten().cloned().collect();
        self.sim.chance(|rng| rng.choice(up))
    }
}
