//! NATS as services see it: at most once, in order between two connections, lost when one of them breaks.
//!
//! Stricter than a single server would be: the orders in which two subscribers hear two publishers are independent, as
//! in a cluster.

mod packet;

pub(crate) use packet::{Packet, Request, Subject};

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

use proto::chat::{SendReply, SendRequest};

use crate::{
    channel::{Answer, Queue},
    executor::{ProcessId, Sim},
    schedule::Noise,
};

/// Longer than anybody waits for a gRPC call.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A service was not there, or its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// The network.
pub(crate) struct Network {
    sim: Sim,
    noise: Cell<Noise>,
    links: RefCell<BTreeMap<ProcessId, Link>>,
    subscriptions: RefCell<BTreeMap<Subject, Vec<Subscription>>>,
    /// When the last message between two arrives; to nobody in particular: at the server.
    last: RefCell<HashMap<(ProcessId, Option<ProcessId>), Duration>>,
}

#[derive(Default)]
struct Link {
    up_at: Duration,
    /// How often it broke.
    breaks: u64,
    disturbed: Queue<()>,
}

/// Who hears a subject, and where.
type Subscription = (ProcessId, Queue<Packet>);

impl Network {
    pub(crate) fn new(sim: &Sim, noise: Noise) -> Self {
        Self {
            sim: sim.clone(),
            noise: Cell::new(noise),
            links: RefCell::default(),
            subscriptions: RefCell::default(),
            last: RefCell::default(),
        }
    }

    /// The time it lives in.
    pub(crate) fn sim(&self) -> &Sim {
        &self.sim
    }

    /// From now on the network is good.
    pub(crate) fn calm(&self) {
        self.noise.set(Noise::default());
    }

    /// How bad the network is.
    pub(crate) fn noise(&self) -> Noise {
        self.noise.get()
    }

    /// A delay of one way.
    pub(crate) fn delay(&self) -> Duration {
        let ms = if self.sim.happens(self.noise().spike) { 2_000_000 } else { 2_000 };
        Duration::from_micros(self.sim.chance(|rng| rng.u64(100..ms)))
    }

    /// Hears of everything that may have made a process miss messages.
    pub(crate) fn disturbances(&self, process: ProcessId) -> Queue<()> {
        self.links.borrow_mut().entry(process).or_default().disturbed.clone()
    }

    /// Breaks a process' connection for a while. What is on its way is lost.
    pub(crate) fn cut(self: &Rc<Self>, process: ProcessId, lasts: Duration) {
        {
            let mut links = self.links.borrow_mut();
            let link = links.entry(process).or_default();
            link.breaks += 1;
            link.up_at = link.up_at.max(self.sim.now() + lasts);
        }
        self.last.borrow_mut().retain(|(from, to), _| *from != process && *to != Some(process));
        let net = Rc::clone(self);
        self.sim.after(lasts + self.delay(), move || net.disturbances(process).push(()));
    }

    /// Breaks everybody's connection for a while.
    pub(crate) fn cut_all(self: &Rc<Self>, lasts: Duration) {
        let processes: Vec<ProcessId> = self.links.borrow().keys().copied().collect();
        for process in processes {
            self.cut(process, lasts);
        }
    }

    /// The server notices that a process is gone.
    pub(crate) fn forget(&self, process: ProcessId) {
        for subscriptions in self.subscriptions.borrow_mut().values_mut() {
            subscriptions.retain(|(other, _)| *other != process);
        }
    }

    /// Subscribes; when it returns, nothing published from then on is missed. Who shares a subject of requests shares
    /// the requests.
    pub(crate) async fn subscribe(&self, process: ProcessId, subject: Subject, mailbox: &Queue<Packet>) {
        // Who has said anything is cut off like everybody when the server is away.
        let up_at = self.links.borrow_mut().entry(process).or_default().up_at;
        self.sim.sleep(up_at.saturating_sub(self.sim.now()) + self.delay()).await;
        self.subscriptions.borrow_mut().entry(subject).or_default().push((process, mailbox.clone()));
        self.sim.sleep(self.delay()).await;
    }

    /// Ends a process' subscription.
    pub(crate) fn unsubscribe(&self, process: ProcessId, subject: Subject) {
        if let Some(subscriptions) = self.subscriptions.borrow_mut().get_mut(&subject) {
            subscriptions.retain(|(other, _)| *other != process);
        }
    }

    /// Publishes, now or when the connection is back.
    pub(crate) fn publish(self: &Rc<Self>, from: ProcessId, subject: Subject, packet: Packet) {
        let sent = self.up_at(from).max(self.sim.now());
        let (was_buffered, breaks) = (sent > self.sim.now(), self.breaks(from));
        let wait = self.in_order((from, None), sent + self.delay());
        let net = Rc::clone(self);
        self.sim.after(wait, move || {
            // What waits in a process dies with it, what has left it is lost with the connection.
            let arrives = if was_buffered { net.sim.is_alive(from) } else { net.breaks(from) == breaks };
            if arrives {
                net.route(from, subject, &packet);
            }
        });
    }

    /// Whether what a process has published has left it.
    pub(crate) async fn flush(&self, process: ProcessId) -> bool {
        let breaks = self.breaks(process);
        let wait = self.in_order((process, None), self.sim.now() + self.delay());
        self.sim.sleep(wait).await;
        self.is_up(process) && self.breaks(process) == breaks
    }

    /// Whether a process is connected.
    pub(crate) fn is_up(&self, process: ProcessId) -> bool {
        self.up_at(process) <= self.sim.now()
    }

    /// Asks whoever serves the subject. `None` at once when nobody does, and when no answer has come in time.
    pub(crate) async fn request(
        self: &Rc<Self>,
        (from, subject): (ProcessId, Subject),
        send: SendRequest,
        patience: Duration,
    ) -> Option<SendReply> {
        let (answer, arrives) = Answer::expected();
        self.publish(from, subject, Packet::Request(Rc::new(Request { from, send, answer: Some(answer).into() })));
        // An answer that is lost is not known to be: whoever asked waits.
        let answered = self.sim.timeout(patience, async {
            match arrives.pop().await {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        });
        answered.await.flatten()
    }

    /// Answers a request.
    pub(crate) fn reply(self: &Rc<Self>, from: ProcessId, request: &Request, reply: SendReply) {
        let Some(answer) = request.answer.borrow_mut().take() else { return };
        if !self.sim.happens(self.noise().request_loss) {
            let sent = self.up_at(from).saturating_sub(self.sim.now());
            self.deliver((from, request.from), sent, move || answer.give(Some(reply)));
        }
    }

    /// Calls a process by gRPC: `handle` is what runs there.
    pub(crate) async fn call<T: 'static>(
        self: &Rc<Self>,
        to: ProcessId,
        handle: impl Future<Output = Result<T, Away>> + 'static,
    ) -> Result<T, Away> {
        let (answer, arrives) = Answer::expected();
        let (net, lost) = (Rc::clone(self), self.sim.happens(self.noise().request_loss));
        self.sim.after(self.delay(), move || {
            let of = Rc::clone(&net);
            net.sim.spawn(to, async move {
                let result = handle.await;
                if !lost {
                    of.sim.after(of.delay(), move || answer.give(result));
                }
            });
        });
        self.sim.timeout(CALL_TIMEOUT, arrives.pop()).await.flatten().unwrap_or(Err(Away))
    }

    fn route(self: &Rc<Self>, from: ProcessId, subject: Subject, packet: &Packet) {
        let subscriptions = self.subscriptions.borrow().get(&subject).cloned().unwrap_or_default();
        let give = |(process, mailbox): Subscription| {
            let packet = packet.clone();
            self.deliver((from, process), Duration::ZERO, move || mailbox.push(packet));
        };
        let Packet::Request(request) = packet else {
            let is_lost = |_: &Subscription| self.sim.happens(self.noise().inbox_loss);
            return subscriptions.into_iter().filter(|of| !is_lost(of)).for_each(give);
        };
        if self.sim.happens(self.noise().request_loss) {
            return;
        }
        if let Some(subscription) = self.sim.chance(|rng| rng.choice(subscriptions)) {
            give(subscription);
        } else if let Some(answer) = request.answer.borrow_mut().take() {
            self.sim.after(self.delay(), move || answer.give(None));
        }
    }

    /// What the server has for a process reaches it if the connection stands from now until then.
    fn deliver(self: &Rc<Self>, (from, to): (ProcessId, ProcessId), wait: Duration, arrive: impl FnOnce() + 'static) {
        let at = self.sim.now() + wait;
        let wait = self.in_order((from, Some(to)), at + self.delay());
        let (net, breaks) = (Rc::clone(self), self.breaks(to));
        self.sim.after(wait, move || {
            if net.breaks(to) == breaks && net.is_up(to) {
                arrive();
            }
        });
    }

    /// How long to wait so that what arrives at `at` does not overtake what was sent before.
    fn in_order(&self, between: (ProcessId, Option<ProcessId>), at: Duration) -> Duration {
        let mut last = self.last.borrow_mut();
        let last = last.entry(between).or_default();
        *last = at.max(*last);
        last.saturating_sub(self.sim.now())
    }

    fn up_at(&self, process: ProcessId) -> Duration {
        self.links.borrow().get(&process).map_or(Duration::ZERO, |link| link.up_at)
    }

    fn breaks(&self, process: ProcessId) -> u64 {
        self.links.borrow().get(&process).map_or(0, |link| link.breaks)
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::ReplicaAnnounced;

    use super::*;

    #[test]
    fn while_nats_is_away_nobody_hears_anybody() {
        let sim = Sim::new(1, false);
        let net = Rc::new(Network::new(&sim, Noise::default()));
        let (speaker, listener, mailbox) = (sim.start(), sim.start(), Queue::default());
        let (of, heard) = (Rc::clone(&net), mailbox.clone());
        sim.spawn(listener, async move { of.subscribe(listener, Subject::Replica, &heard).await });
        let say = || net.publish(speaker, Subject::Replica, Packet::Replica(ReplicaAnnounced::default()));
        sim.run_until(Duration::from_secs(1));
        net.cut_all(Duration::from_secs(1));
        say();
        sim.run_until(Duration::from_secs(3));
        assert!(mailbox.try_pop().is_none());
        say();
        sim.run_until(Duration::from_secs(4));
        assert!(mailbox.try_pop().is_some());
    }
}
