//! chat-service as those see it who call it by gRPC: any replica answers.

use std::rc::Rc;

use chat_service::{
    command::Command,
    outcome::{Changed, Refusal},
};

use crate::{fleet::Fleet, network::Away, replica::Replica, store::Store, world::World};

/// The replicas of chat-service.
pub(crate) struct Replicas {
    world: Rc<World>,
    pub(crate) fleet: Fleet<Rc<Replica>>,
}

impl Replicas {
    pub(crate) fn new(world: &Rc<World>) -> Self {
        Self { world: Rc::clone(world), fleet: Fleet::new(&world.sim) }
    }

    /// Asks any replica for something that the database has.
    pub(crate) async fn read<T, F>(&self, query: impl FnOnce(Rc<Store>) -> F) -> Result<T, Away>
    where
        T: 'static,
        F: Future<Output = Result<T, Away>> + 'static,
    {
        let (process, _) = self.fleet.any().ok_or(Away)?;
        self.world.net.call(process, query(Rc::clone(&self.world.store))).await
    }

    /// Has any replica carry out a command, or refuse it for good.
    pub(crate) async fn change(&self, command: impl Command + 'static) -> Result<Result<Changed, Refusal>, Away> {
        let (process, replica) = self.fleet.any().ok_or(Away)?;
        self.world.net.call(process, replica.change(command)).await
    }
}
