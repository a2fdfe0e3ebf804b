//! The connection of a client to a gateway: in order both ways, until it breaks; each side notices that for itself.

use std::{cell::Cell, rc::Rc, time::Duration};

use crate::{channel::Queue, network::Network};

/// What a client emits.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Connect { user: usize, pid: Option<String>, offset: Option<String> },
    Event { name: &'static str, argument: String, ack: u64 },
}

/// What a client hears.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    Connected { pid: String },
    Ack { ack: u64, json: String },
    Event { name: &'static str, json: String, cursor: String },
}

/// One connection.
pub(crate) struct Pipe {
    net: Rc<Network>,
    /// To the gateway.
    pub(crate) up: Rc<Way<Up>>,
    /// To the client.
    pub(crate) down: Rc<Way<Down>>,
}

/// One way of a connection.
pub(crate) struct Way<T> {
    net: Rc<Network>,
    /// What has arrived; `None` when the reader notices the end.
    arrived: Queue<Option<T>>,
    has_ended: Cell<bool>,
    last: Cell<Duration>,
}

impl Pipe {
    pub(crate) fn new(net: &Rc<Network>) -> Rc<Self> {
        Rc::new(Self { net: Rc::clone(net), up: Way::new(net), down: Way::new(net) })
    }

    /// The connection breaks. The client notices at once, the gateway after a while, and until then it hears what was
    /// under way.
    pub(crate) fn cut(&self, gateway_notices: Duration) {
        self.down.end();
        let up = Rc::clone(&self.up);
        self.net.sim().after(gateway_notices, move || {
            up.end();
        });
    }

    /// The gateway closes the transport.
    pub(crate) fn close(&self) {
        if self.up.end() {
            let down = Rc::clone(&self.down);
            self.net.sim().after(self.down.in_order(), move || {
                down.end();
            });
        }
    }
}

impl<T: 'static> Way<T> {
    fn new(net: &Rc<Network>) -> Rc<Self> {
        Rc::new(Self {
            net: Rc::clone(net),
            arrived: Queue::default(),
            has_ended: Cell::new(false),
            last: Cell::default(),
        })
    }

    /// Sends something, which arrives unless the reader has noticed the end before.
    pub(crate) fn send(self: &Rc<Self>, item: T) {
        let way = Rc::clone(self);
        self.net.sim().after(self.in_order(), move || {
            if !way.has_ended.get() {
                way.arrived.push(Some(item));
            }
        });
    }

    /// Waits for the next item; `None` when the reader notices the end.
    pub(crate) async fn next(&self) -> Option<T> {
        self.arrived.pop().await
    }

    /// The reader notices the end, if it has not done so before.
    fn end(&self) -> bool {
        let ends = !self.has_ended.replace(true);
        if ends {
            self.arrived.push(None);
        }
        ends
    }

    fn in_order(&self) -> Duration {
        let now = self.net.sim().now();
        self.last.set(self.last.get().max(now + self.net.delay()));
        self.last.get().saturating_sub(now)
    }
}

impl Up {
    /// The number under which its ack is awaited.
    pub(crate) fn ack(&self) -> Option<u64> {
        match self {
            Self::Connect { .. } => None,
            Self::Event { ack, .. } => Some(*ack),
        }
    }
}
