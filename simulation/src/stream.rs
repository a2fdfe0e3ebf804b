//! JetStream as its contract: an event that was stored is delivered at least once, in no particular order, until it is
//! acked or the stream is lost.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use proto::MatchId;

use crate::{
    channel::Queue,
    executor::{ProcessId, Sim},
    host::Host,
    network::{Away, Network},
};

/// An event whose counter died is delivered to another one after this.
const ACK_WAIT: Duration = Duration::from_secs(5);
const NOBODY_PAUSE: Duration = Duration::from_millis(500);

/// The newest heads of some matches.
pub(crate) type Heads = BTreeMap<MatchId, i64>;

/// An event as a counter hears it.
#[derive(Clone)]
pub(crate) struct Event {
    number: usize,
    life: u64,
    pub(crate) deliveries: u32,
    pub(crate) heads: Rc<Heads>,
}

/// What a counter hears: `None` when the stream may be another one.
pub(crate) type Mailbox = Queue<Option<Event>>;

/// The stream as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Another one after each loss.
    pub(crate) life: u64,
    /// What its newest event says; `None` while it is empty.
    pub(crate) watermark_ms: Option<i64>,
}

/// The stream with its one consumer.
pub(crate) struct Stream {
    pub(crate) host: Host,
    sim: Sim,
    net: Rc<Network>,
    life: Cell<u64>,
    watermark_ms: Cell<Option<i64>>,
    /// The life in which the consumer was made.
    consumer: Cell<Option<u64>>,
    acked: RefCell<Vec<bool>>,
    counters: RefCell<Vec<(ProcessId, Mailbox)>>,
}

impl Stream {
    pub(crate) fn new(net: &Rc<Network>) -> Self {
        Self {
            host: Host::new(net),
            sim: net.sim().clone(),
            net: Rc::clone(net),
            life: Cell::new(0),
            watermark_ms: Cell::new(None),
            consumer: Cell::new(None),
            acked: RefCell::default(),
            counters: RefCell::default(),
        }
    }

    /// Loses everything.
    pub(crate) fn wipe(&self) {
        self.life.set(self.life.get() + 1);
        self.watermark_ms.set(None);
        self.acked.borrow_mut().clear();
        self.counters.borrow().iter().for_each(|(_, mailbox)| mailbox.push(None));
    }

    /// Makes sure that it is there.
    pub(crate) async fn look(&self, process: ProcessId) -> Result<Found, Away> {
        self.trip(process, || Found { life: self.life.get(), watermark_ms: self.watermark_ms.get() }).await
    }

    /// Stores an event. An error says nothing about whether it was stored.
    pub(crate) async fn publish(
        self: &Rc<Self>,
        process: ProcessId,
        heads: Heads,
        watermark_ms: i64,
    ) -> Result<(), Away> {
        let is_lost = self.sim.happens(self.net.noise().request_loss);
        let heads = Rc::new(heads);
        self.trip(process, || {
            self.watermark_ms.set(Some(watermark_ms));
            let number = self.acked.borrow().len();
            self.acked.borrow_mut().push(false);
            let event = Event { number, life: self.life.get(), deliveries: 0, heads };
            if self.sim.happens(self.net.noise().duplicate) {
                self.deliver_after(self.net.delay() * 3, event.clone());
            }
            self.deliver_after(self.net.delay(), event);
        })
        .await?;
        if is_lost || !self.is_reached_by(process) { Err(Away) } else { Ok(()) }
    }

    /// Takes part in consuming. True when the consumer had to be made, so that events of before may be lost.
    pub(crate) async fn open(&self, process: ProcessId, mailbox: &Mailbox) -> Result<bool, Away> {
        self.trip(process, || {
            let mut counters = self.counters.borrow_mut();
            counters.retain(|(other, _)| *other != process);
            counters.push((process, mailbox.clone()));
            self.consumer.replace(Some(self.life.get())) != Some(self.life.get())
        })
        .await
    }

    /// An event was counted.
    pub(crate) fn ack(&self, process: ProcessId, event: &Event) {
        if event.life == self.life.get() && self.is_reached_by(process) {
            self.acked.borrow_mut()[event.number] = true;
        }
    }

    /// An event is to be delivered again after a while.
    pub(crate) fn deliver_after(self: &Rc<Self>, delay: Duration, event: Event) {
        let stream = Rc::clone(self);
        self.sim.after(delay, move || stream.deliver(event));
    }

    fn deliver(self: &Rc<Self>, event: Event) {
        if event.life != self.life.get() || self.acked.borrow()[event.number] {
            return;
        }
        self.counters.borrow_mut().retain(|(process, _)| self.sim.is_alive(*process));
        let counters = self.counters.borrow();
        let reached = counters.iter().filter(|(process, _)| self.is_reached_by(*process));
        let chosen = self.sim.chance(|rng| rng.choice(reached.collect::<Vec<_>>()));
        let event = Event { deliveries: event.deliveries + 1, ..event };
        let Some((_, mailbox)) = chosen else { return self.deliver_after(NOBODY_PAUSE, event) };
        mailbox.push(Some(event.clone()));
        self.deliver_after(ACK_WAIT, event);
    }

    async fn trip<T>(&self, process: ProcessId, act: impl FnOnce() -> T) -> Result<T, Away> {
        self.host.trip(|| self.net.is_up(process).then(act).ok_or(Away)).await
    }

    fn is_reached_by(&self, process: ProcessId) -> bool {
        self.host.is_up() && self.net.is_up(process)
    }
}
