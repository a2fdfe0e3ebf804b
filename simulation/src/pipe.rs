//! The connection of a client to a gateway: in order both ways, until it breaks; each side notices that for itself.

use std::{cell::Cell, rc::Rc, time::Duration};

use crate::{channel::Queue, network::Network};

/// What a client emits.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Connect { user: usize, pid: Option<String>, offset: Option<String> },
    Event { name: &'static str, arguments: [Option<String>; 2], ack: u64 },
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
    /// What reaches the gateway; `None` when it notices the end.
    pub(crate) up: Queue<Option<Up>>,
    /// What reaches the client; `None` when it notices the end.
    pub(crate) down: Queue<Option<Down>>,
    client_is_here: Cell<bool>,
    gateway_is_here: Cell<bool>,
    last_up: Cell<Duration>,
    last_down: Cell<Duration>,
}

impl Pipe {
    pub(crate) fn new(net: &Rc<Network>) -> Rc<Self> {
        Rc::new(Self {
            net: Rc::clone(net),
            up: Queue::default(),
            down: Queue::default(),
            client_is_here: Cell::new(true),
            gateway_is_here: Cell::new(true),
            last_up: Cell::default(),
            last_down: Cell::default(),
        })
    }

    /// The client emits.
    pub(crate) fn emit(self: &Rc<Self>, up: Up) {
        let pipe = Rc::clone(self);
        self.net.sim().after(self.in_order(&self.last_up), move || {
            if pipe.gateway_is_here.get() {
                pipe.up.push(Some(up));
            }
        });
    }

    /// The gateway emits.
    pub(crate) fn send(self: &Rc<Self>, down: Down) {
        let pipe = Rc::clone(self);
        self.net.sim().after(self.in_order(&self.last_down), move || {
            if pipe.client_is_here.get() {
                pipe.down.push(Some(down));
            }
        });
    }

    /// The connection breaks. The client notices at once, the gateway after a while, and until then it hears what was
    /// under way.
    pub(crate) fn cut(self: &Rc<Self>, gateway_notices: Duration) {
        if self.client_is_here.replace(false) {
            self.down.push(None);
        }
        let pipe = Rc::clone(self);
        self.net.sim().after(gateway_notices, move || {
            if pipe.gateway_is_here.replace(false) {
                pipe.up.push(None);
            }
        });
    }

    /// The gateway closes the transport.
    pub(crate) fn close(self: &Rc<Self>) {
        if self.gateway_is_here.replace(false) {
            self.up.push(None);
            let pipe = Rc::clone(self);
            self.net.sim().after(self.in_order(&self.last_down), move || {
                if pipe.client_is_here.replace(false) {
                    pipe.down.push(None);
                }
            });
        }
    }

    fn in_order(&self, last: &Cell<Duration>) -> Duration {
        let now = self.net.sim().now();
        last.set(last.get().max(now + self.net.delay()));
        last.get().saturating_sub(now)
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
