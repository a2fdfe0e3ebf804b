//! What all processes live in: time, the network, the stores, and what they are held to.

use std::rc::Rc;

use crate::{
    calls::Calls, cast::Cast, executor::Sim, mistake::Mistake, network::Network, promises::Promises,
    registers::Registers, schedule::Schedule, store::Store, stream::Stream,
};

/// Everything but the processes.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) cast: Rc<Cast>,
    pub(crate) net: Rc<Network>,
    pub(crate) store: Rc<Store>,
    pub(crate) stream: Rc<Stream>,
    pub(crate) registers: Registers,
    pub(crate) calls: Calls,
    pub(crate) promises: Promises,
    pub(crate) mistake: Option<Mistake>,
}

impl World {
    pub(crate) fn new(schedule: &Schedule, mistake: Option<Mistake>, traced: bool) -> Rc<Self> {
        let (sim, cast) = (Sim::new(schedule.seed, traced), Rc::new(Cast::new()));
        let net = Rc::new(Network::new(&sim, schedule.noise));
        Rc::new(Self {
            store: Rc::new(Store::new(&cast, &net, mistake)),
            stream: Rc::new(Stream::new(&net)),
            registers: Registers::new(&net, mistake),
            calls: Calls::new(&cast, &net),
            promises: Promises::new(&sim),
            sim,
            cast,
            net,
            mistake,
        })
    }
}
