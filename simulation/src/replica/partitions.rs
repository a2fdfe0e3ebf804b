//! Which partitions a replica serves, as its `Ownership` says; after `chat-service/src/partitions.rs`.

use std::{collections::BTreeSet, rc::Rc};

use chat_service::ownership::{Ownership, Step};
use proto::{chat::ReplicaState, partition};

use super::Replica;
use crate::{
    channel::Queue,
    network::{Packet, Subject},
    world::World,
};

/// Serves its share until the process dies.
pub(super) async fn run(world: Rc<World>, replica: Rc<Replica>) {
    let (process, announcements) = (replica.process, Queue::default());
    // Short, as much of a run's time goes into hashing it.
    let id = format!("{:x}", world.sim.chance(|rng| rng.u32(..)));
    world.net.subscribe(process, Subject::Replica, &announcements).await;
    let mut serving = Serving { requests: Queue::default(), world: Rc::clone(&world), replica };
    serving.begin(Subject::SendAny).await;
    let requests = serving.requests.clone();
    world.sim.spawn(process, Rc::clone(&serving.replica).serve(Rc::clone(&world), requests));
    let mut ownership = Ownership::new(id.clone(), world.sim.instant());
    loop {
        let wait = ownership.wake_at().saturating_duration_since(world.sim.instant());
        // Time first: who was frozen must see that before what it missed meanwhile.
        let heard = if wait.is_zero() { None } else { world.sim.timeout(wait, announcements.pop()).await };
        let now = world.sim.instant();
        let step = match heard {
            Some(Packet::Replica(other, state)) if ownership.wake_at() > now => ownership.hear(&other, state, now),
            Some(Packet::Replica(other, state)) => {
                serving.take(ownership.on_time(now), &id).await;
                ownership.hear(&other, state, now)
            }
            _ => ownership.on_time(now),
        };
        serving.take(step, &id).await;
    }
}

struct Serving {
    world: Rc<World>,
    replica: Rc<Replica>,
    requests: Queue<Packet>,
}

impl Serving {
    async fn take(&mut self, step: Step, id: &str) {
        // Of the 64 partitions only those of the cast's matches make a difference.
        let used: BTreeSet<u8> = self.world.cast.chats.iter().map(|chat| partition::of(&chat.id)).collect();
        for partition in step.take.intersection(&used) {
            self.begin(Subject::Send(*partition)).await;
        }
        if let Some(state) = step.announce {
            self.announce(id, state);
        }
        for partition in step.release.intersection(&used) {
            self.world.net.unsubscribe(self.replica.process, Subject::Send(*partition));
        }
    }

    async fn begin(&self, subject: Subject) {
        self.world.net.subscribe(self.replica.process, subject, &self.requests).await;
    }

    fn announce(&self, id: &str, state: ReplicaState) {
        self.world.net.publish(self.replica.process, Subject::Replica, Packet::Replica(id.to_owned(), state));
    }
}
