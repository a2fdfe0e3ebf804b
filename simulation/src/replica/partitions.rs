//! Which partitions a replica serves, as its `Ownership` says, and which others died, as its `Peers` say; after
//! `chat-service/src/partitions.rs`.

use std::{collections::BTreeSet, rc::Rc};

use chat_service::{
    ownership::{INTERVAL, Ownership, Step},
    peers::Peers,
    posted::{Repair, Scope},
};
use proto::{
    chat::{ReplicaAnnounced, ReplicaState},
    partition,
};

use super::Replica;
use crate::{
    channel::Queue,
    mistake::Mistake,
    network::{Packet, Subject},
};

struct Serving {
    replica: Rc<Replica>,
    id: String,
    ownership: Ownership,
    peers: Peers,
    /// Since when a dead replica's commits may be missing in the stream.
    lost_since_ms: Option<i64>,
    requests: Queue<Packet>,
}

impl Replica {
    /// Serves its share until the process dies, or stops and leaves it to the others.
    pub(super) async fn serve_partitions(self: Rc<Self>) {
        let (announcements, sim) = (Queue::default(), &self.world.sim);
        // Short, as much of a run's time goes into hashing it.
        let id = format!("{:x}", sim.chance(|rng| rng.u32(..)));
        self.world.net.subscribe(self.process, Subject::Replica, &announcements).await;
        let mut serving = Serving {
            replica: Rc::clone(&self),
            ownership: Ownership::new(id.clone(), sim.instant()),
            id,
            peers: Peers::default(),
            lost_since_ms: None,
            requests: Queue::default(),
        };
        serving.begin(Subject::SendAny).await;
        sim.spawn(self.process, Rc::clone(&self).serve(serving.requests.clone()));
        let mut is_leaving = false;
        while !is_leaving || !serving.ownership.owned().is_empty() {
            if self.is_stopping.get() && !is_leaving {
                is_leaving = true;
                let step = serving.ownership.leave(sim.instant());
                serving.take(step).await;
            }
            let wait = serving.ownership.wake_at().saturating_duration_since(sim.instant());
            let heard = if wait.is_zero() { None } else { sim.timeout(wait, announcements.pop()).await };
            // Time first: who was frozen must see that before what it missed meanwhile.
            if serving.ownership.wake_at() <= sim.instant() {
                serving.on_time().await;
            }
            if let Some(Packet::Replica(announced)) = heard {
                serving.hear(&announced).await;
            }
        }
        serving.say_goodbye().await;
    }
}

impl Serving {
    async fn hear(&mut self, announced: &ReplicaAnnounced) {
        let world = &self.replica.world;
        let (id, state, now) = (announced.replica_id.as_str(), announced.state(), world.sim.instant());
        if id != self.id && world.mistake != Some(Mistake::ForgetTheDead) {
            self.peers.hear(id, state, announced.published_ms, now);
            self.replica.posted.backlog().note_peers(self.peers.published_ms());
        }
        let step = self.ownership.hear(id, state, now);
        self.take(step).await;
    }

    async fn on_time(&mut self) {
        let now = self.replica.world.sim.instant();
        let step = self.ownership.on_time(now);
        if let Some(since_ms) = self.peers.on_time(now, self.ownership.is_deaf()) {
            self.lost_since_ms = Some(self.lost_since_ms.unwrap_or(since_ms).min(since_ms));
        }
        self.take(step).await;
    }

    async fn take(&mut self, step: Step) {
        // Of the 64 partitions only those of the cast's matches make a difference.
        let used: BTreeSet<u8> = self.replica.world.cast.chats.iter().map(|chat| partition::of(&chat.id)).collect();
        for partition in step.take.intersection(&used) {
            self.begin(Subject::Send(*partition)).await;
        }
        if let Some(state) = step.announce {
            self.announce(state);
        }
        for partition in step.release.intersection(&used) {
            self.end(Subject::Send(*partition));
        }
        self.tell_publisher();
    }

    /// After the partitions were taken: only their owner looks for what a dead replica left behind in them.
    fn tell_publisher(&mut self) {
        let posted = &self.replica.posted;
        if self.ownership.is_settled() {
            posted.note_owned(self.ownership.owned());
        }
        posted.note_settled(self.ownership.is_settled());
        if let Some(since_ms) = self.lost_since_ms.take() {
            posted.owe(|backlog| backlog.owe(Repair { since_ms, of: Scope::OwnedPartitions }));
        }
        posted.backlog().note_peers(self.peers.published_ms());
    }

    /// As long as it is heard of, the others count on it to publish what it committed.
    async fn say_goodbye(self) {
        self.end(Subject::SendAny);
        self.replica.has_left.set(true);
        while Rc::strong_count(&self.replica.unfinished) > 1 || !self.replica.posted.is_done() {
            self.replica.world.sim.sleep(INTERVAL).await;
            self.announce(ReplicaState::Leaving);
        }
        self.announce(ReplicaState::Left);
    }

    async fn begin(&self, subject: Subject) {
        self.replica.world.net.subscribe(self.replica.process, subject, &self.requests).await;
    }

    fn end(&self, subject: Subject) {
        self.replica.world.net.unsubscribe(self.replica.process, subject);
    }

    fn announce(&self, state: ReplicaState) {
        let published_ms = self.replica.posted.backlog().published_ms();
        let announced = ReplicaAnnounced { replica_id: self.id.clone(), state: state.into(), published_ms };
        self.replica.world.net.publish(self.replica.process, Subject::Replica, Packet::Replica(announced));
    }
}
