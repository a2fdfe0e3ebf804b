//! The connection of a client to a gateway: in order both ways, until it breaks; each side notices that for itself.

use std::{cell::Cell, rc::Rc, time::Duration};

use proto::chat::{Message, Milestone, Stored};

use crate::{channel::Queue, network::Network};

/// What a client emits.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Connect { user: usize, pid: Option<String>, offset: Option<String> },
    Send { ack: u64, chat: usize, client_id: String, body: String },
    Join { ack: u64, chat: usize, since_seq: Option<i64>, keep_others: bool },
    Leave { ack: u64, chat: usize },
}

/// What a client hears.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    Connected { pid: String },
    Ack { ack: u64, answer: Answered },
    Received { message: Message, cursor: String },
    Updated { chat: usize },
    Milestone { chat: usize, milestone: Milestone, cursor: String },
    Notice { chat: usize, milestone: Milestone },
    ChatJoined { chat: usize, cursor: String },
    ChatLeft { chat: usize, cursor: String },
    Closed { chat: usize, cursor: String },
}

/// The content of an ack.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    Sent(Stored),
    Joined { last_seq: i64, messages: Vec<Message>, has_more: bool, milestones: Vec<i64> },
    Done,
    Failed { code: proto::Code, retry_after_ms: Option<u64> },
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

    /// Whether the gateway takes the connection for alive.
    pub(crate) fn is_open(&self) -> bool {
        self.gateway_is_here.get()
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
            Self::Send { ack, .. } | Self::Join { ack, .. } | Self::Leave { ack, .. } => Some(*ack),
        }
    }
}
