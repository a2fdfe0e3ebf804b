//! A socket that connects: what it brings, and what is done once it hears what its user hears.

use crate::{
    behind, call_line,
    calls::Calls,
    chats::Chats,
    delivery,
    epoch::Epoch,
    heads, live_call,
    moment::Moment,
    output::SocketId,
    proving::Proving,
    receipts,
    recovery::Recovery,
    sharing, socket_replaced,
    socket_state::{Name, Resumed, SocketState},
    step::{Limits, Step},
    token,
    validity::Validity,
    watches::Watches,
};

/// A socket that is let in and has not heard anything yet.
#[derive(Debug)]
pub struct Arrival {
    id: SocketId,
    name: Name,
    epoch: Epoch,
    chats: Chats,
    calls: Calls,
    resumed: Option<Box<Resumed>>,
    connected_at_ms: i64,
    token: Validity,
}

impl Arrival {
    /// One whose client does not want to be recovered, with its sid.
    pub fn unrecoverable(sid: &str, epoch: Epoch, token: Validity, at: Moment) -> Self {
        Self::new(Name::Sid(sid.into()), epoch, token, at)
    }

    /// One that starts with what its client brought back, in a database of this epoch. `heard` is how many events the
    /// user's inbox had had before the heads were read.
    pub fn recovered((recovery, epoch): (Recovery, Epoch), heard: u64, token: Validity, at: Moment) -> Self {
        let Recovery { pid, replaces, chats, closed, call } = recovery;
        let resumed = replaces.map(|replaces| Box::new(Resumed { replaces, closed, heard }));
        let (chats, calls) = (Chats::restored(chats), Calls::restored(call));
        Self { chats, calls, resumed, ..Self::new(Name::Pid(pid), epoch, token, at) }
    }

    fn new(name: Name, epoch: Epoch, token: Validity, at: Moment) -> Self {
        let (chats, calls, resumed) = (Chats::default(), Calls::default(), None);
        Self { id: SocketId(at.random), name, epoch, chats, calls, resumed, connected_at_ms: at.unix_ms, token }
    }

    /// Its number.
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// Whether the token has been revoked since it was checked, by the time of its issue.
    pub fn note_revoked(&mut self, is_revoked: impl FnOnce(i64) -> bool) {
        self.token.is_revoked = is_revoked(self.token.issued_at_ms);
    }

    /// The state of the socket.
    pub(crate) fn into_state<T>(self, at: Moment) -> SocketState<T> {
        let Self { id, name, epoch, chats, calls, resumed, connected_at_ms, token } = self;
        SocketState {
            id,
            origin: name.origin(),
            name,
            connected_at_ms,
            token,
            last_event: at.now,
            epoch,
            chats,
            calls,
            queues: None,
            proving: Proving::default(),
            watches: Watches::default(),
            resumed,
            is_gone: false,
            is_in_background: false,
        }
    }
}

/// Does what there is to do for a socket that has just connected, of whose user so many events were heard until now.
pub(crate) fn begin<L: Limits>(socket: &mut SocketState<L::Ticket>, heard: u64, step: &mut Step<'_, L>) {
    delivery::silence_all(socket, step);
    if !token::watch_new(socket, step) {
        return;
    }
    let earlier = socket.resumed.as_ref().map(|resumed| &resumed.replaces);
    if let Some(earlier) = earlier.filter(|earlier| !socket.is_of(earlier.as_str())) {
        let device = earlier.sid();
        return call_line::take_over(socket, device, step);
    }
    replay(socket, heard, step);
    live_call::find(socket, 0, step);
}

/// What was closed is told, what was missed is fetched, an earlier socket is closed.
fn replay<L: Limits>(socket: &mut SocketState<L::Ticket>, heard: u64, step: &mut Step<'_, L>) {
    let Some(resumed) = socket.resumed.take() else { return };
    for chat in &resumed.closed {
        delivery::close(socket, chat, step);
    }
    let id = socket.id;
    for chat in socket.chats.open_chats_mut() {
        behind::heal_recovered(id, chat, step);
    }
    socket_replaced::tell(socket, &resumed.replaces, step);
    receipts::ask(socket, step);
    sharing::ask(socket, 0, step);
    if heard != resumed.heard {
        heads::ask(socket.chats.open_chats().map(|chat| chat.id.clone()).collect(), step);
    }
}
