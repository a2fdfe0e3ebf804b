//! A user's sockets here: the core itself. Each input goes in with its [`Step`], which takes the outputs.

mod answers;
mod presence;

use std::{ops::Range, time::Duration};

use proto::{
    Code, MatchId,
    chat::{MatchHead, Revocation},
    client::{command, event},
    inbox::inbox_event::Event,
};

use crate::{
    arguments::ClientEvent,
    arrival::{self, Arrival},
    call_changed, client_event,
    epoch::Epoch,
    heads, healing,
    marks::Marks,
    match_changed, match_closed,
    memory::Memory,
    message_hidden, messages_posted, milestone_reached,
    mistake::{self, Mistake},
    order,
    output::{self, Output, SocketId},
    proofs, receipt_updated,
    reply::Reply,
    restored, sharing, socket_replaced,
    socket_state::SocketState,
    step::{Limits, Step},
    token, typing, typing_changed,
};

/// The sockets of one user, and what is remembered for all of them. `T` is what a send holds until its outcome is
/// known.
#[derive(Debug)]
pub struct User<T> {
    sockets: Vec<SocketState<T>>,
    /// Sockets whose connection is gone, and what they were asked before is not done yet.
    #[expect(clippy::box_collection, reason = "a vector itself is three words")]
    gone: Option<Box<Vec<SocketState<T>>>>,
    memory: Memory,
    marks: Marks,
    /// How many events the inbox has had.
    heard: u64,
}

impl<T> Default for User<T> {
    fn default() -> Self {
        Self { sockets: Vec::new(), gone: None, memory: Memory::default(), marks: Marks::default(), heard: 0 }
    }
}

impl<T> User<T> {
    /// The sockets that are connected.
    pub fn sockets(&self) -> &[SocketState<T>] {
        &self.sockets
    }

    /// The chats that the sockets have open, each once.
    pub fn open_chats(&self) -> Vec<MatchId> {
        let mut open: Vec<MatchId> = Vec::new();
        for chat in self.sockets.iter().flat_map(|socket| socket.chats.open_chats()) {
            if !open.contains(&chat.id) {
                open.push(chat.id.clone());
            }
        }
        open
    }

    /// How many events the inbox has had. A socket that is connected hears all that are not counted yet.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// An event has come to the inbox. Returns its number, from 1.
    pub fn hears(&mut self) -> u64 {
        self.heard += 1;
        self.heard
    }

    /// Whether somebody is shown as typing, of whom one has to know when that is over.
    pub fn has_typists(&self) -> bool {
        self.memory.has_typists()
    }

    fn socket(&mut self, id: SocketId) -> Option<&mut SocketState<T>> {
        let gone = self.gone.iter_mut().flat_map(|gone| gone.iter_mut());
        self.sockets.iter_mut().chain(gone).find(|socket| socket.id == id)
    }

    /// Forgets the sockets that are gone and have nothing more to do.
    fn tidy(&mut self) {
        if let Some(gone) = &mut self.gone {
            gone.retain(|socket| socket.queues.is_some());
        }
        self.gone.take_if(|gone| gone.is_empty());
    }

    /// A socket is connected: from now on it hears what the user hears.
    pub fn connected<L: Limits<Ticket = T>>(&mut self, arrival: Arrival, step: &mut Step<'_, L>) {
        let (mut socket, was_active) = (arrival.into_state(step.at), self.is_active());
        arrival::begin(&mut socket, self.heard, step);
        // Mostly the only one.
        self.sockets.reserve_exact(1);
        self.sockets.push(socket);
        self.note_activity(was_active, step);
    }

    /// A socket is gone. False if it was not here. What it was asked to store still is, and its call commands are still
    /// given.
    pub fn disconnected<L: Limits<Ticket = T>>(&mut self, id: SocketId, step: &mut Step<'_, L>) -> bool {
        let Some(index) = self.sockets.iter().position(|socket| socket.id == id) else { return false };
        let was_active = self.is_active();
        let mut socket = self.sockets.remove(index);
        self.sockets.shrink_to_fit();
        socket.is_gone = true;
        socket.chats.leave_all().iter_mut().for_each(|chat| typing::stop(chat, step));
        order::own_may_have_come(&mut socket, step);
        if socket.queues.is_some() {
            self.gone.get_or_insert_default().push(socket);
        }
        self.note_activity(was_active, step);
        true
    }

    /// A client has sent an event. A panic costs this event, which is answered, and nothing else.
    pub fn client_event<L: Limits<Ticket = T>>(
        &mut self,
        id: SocketId,
        event: &ClientEvent<'_>,
        step: &mut Step<'_, L>,
    ) {
        let was_active = self.is_active();
        let gone = self.gone.iter_mut().flat_map(|gone| gone.iter_mut());
        let Some(socket) = self.sockets.iter_mut().chain(gone).find(|socket| socket.id == id) else { return };
        let marks = &mut self.marks;
        if !step.contained(|step| client_event::handle((socket, marks), event, step)) {
            let reply = Reply::new(event.name, event.arguments[0], event.ack);
            step.fail(id, &reply, &Code::Internal.into());
        }
        if event.name == command::SET_APP_STATE {
            self.note_activity(was_active, step);
        }
    }

    /// The user's inbox has had an event, which was [counted](Self::hears). True if a socket was given it that somebody
    /// has to know of.
    pub fn inbox_event<L: Limits<Ticket = T>>(&mut self, event: Event, step: &mut Step<'_, L>) -> bool {
        let mut taken = false;
        let is_done = step.contained(|step| {
            taken = self.hear(event, step);
            mistake::panic_if_planted(Mistake::PanicInInbox);
        });
        if !is_done {
            // Nobody knows what they were given. Their clients come back and say so.
            step.out.extend(self.sockets.iter().map(|socket| Output::Close(socket.id)));
        }
        taken && is_done
    }

    fn hear<L: Limits<Ticket = T>>(&mut self, event: Event, step: &mut Step<'_, L>) -> bool {
        let (sockets, memory) = (&mut self.sockets[..], &mut self.memory);
        match event {
            Event::MessagesPosted(posted) => messages_posted::hear((sockets, memory), posted, step),
            Event::TypingChanged(changed) => typing_changed::hear((sockets, memory), &changed, step),
            Event::MilestoneReached(reached) => milestone_reached::hear((sockets, memory), reached, step),
            Event::MatchClosed(closed) => match_closed::hear((sockets, memory), &closed, step),
            Event::MatchChanged(changed) => match_changed::hear((sockets, memory), changed, step),
            Event::MessageHidden(hidden) => message_hidden::hear(sockets, &hidden, step),
            Event::ReceiptUpdated(updated) => receipt_updated::hear(sockets, &updated, step),
            Event::ReceiptsUpdated(several) => {
                several.updated.iter().for_each(|updated| receipt_updated::hear(sockets, updated, step));
            }
            Event::SharingChanged(changed) => sharing::hear(sockets, changed, step),
            // The shell answers it.
            Event::PresenceAsked(_) => {}
            Event::CallChanged(changed) => return call_changed::hear(sockets, &changed, step),
            Event::SocketReplaced(replaced) => socket_replaced::hear(sockets, &replaced, step),
        }
        self.sockets.iter_mut().for_each(|socket| order::own_may_have_come(socket, step));
        false
    }

    /// The client of a socket has all that it was asked to prove; see [`Output::Prove`].
    pub fn proved<L: Limits<Ticket = T>>(&mut self, id: SocketId, step: &mut Step<'_, L>) {
        let Some(socket) = self.socket(id) else { return };
        for (chat, seq) in proofs::proved(socket, step) {
            self.marks.delivered(&chat, seq, None, step);
        }
    }

    /// There is room for more in what is to be sent to the socket, of which so much is for a chat; see
    /// [`Output::AwaitRoom`].
    pub fn has_room<L: Limits<Ticket = T>>(&mut self, id: SocketId, chat: &MatchId, step: &mut Step<'_, L>) {
        self.with(id, step, |socket, step| healing::has_room(socket, chat, step));
    }

    /// The other members of a socket's chat were not told that the user types; see [`crate::output::Patience::None`].
    pub fn typing_was_not_told(&mut self, id: SocketId, chat: &MatchId) {
        if let Some(chat) = self.socket(id).and_then(|socket| socket.chats.open_chat(chat)) {
            chat.typing = false;
        }
    }

    /// Time has passed: those who have typed and said nothing more have stopped.
    pub fn expire_typists<L: Limits<Ticket = T>>(&mut self, step: &mut Step<'_, L>) {
        typing_changed::expire((&mut self.sockets, &mut self.memory), step);
    }

    /// Asks how far the chats have come that the user's sockets have open.
    pub fn compare_heads<L: Limits<Ticket = T>>(&mut self, step: &mut Step<'_, L>) {
        heads::ask(self.open_chats(), step);
    }

    /// A chat has come so far.
    pub fn head<L: Limits<Ticket = T>>(&mut self, head: &MatchHead, step: &mut Step<'_, L>) {
        heads::compare(&mut self.sockets, head, step);
        self.sockets.iter_mut().for_each(|socket| order::own_may_have_come(socket, step));
    }

    /// The database was found to be of this epoch. Sockets with chats open from another one are closed.
    pub fn database_is_of<L: Limits<Ticket = T>>(&mut self, epoch: Epoch, step: &mut Step<'_, L>) {
        for socket in &mut self.sockets {
            restored::is_of_same_epoch(socket, epoch, step);
        }
    }

    /// Closes what has expired, and gives notice to what comes within a minute of its expiry in these seconds.
    pub fn watch_tokens<L: Limits<Ticket = T>>(&mut self, seconds: &Range<i64>, step: &mut Step<'_, L>) {
        self.sockets.iter().for_each(|socket| token::watch(socket, seconds, step));
    }

    /// The sockets that end as the user is revoked.
    pub fn ended_by<'a>(&'a self, revocation: &'a Revocation) -> impl Iterator<Item = SocketId> + 'a {
        self.sockets.iter().filter(|socket| token::is_ended_by(socket, revocation)).map(|socket| socket.id)
    }

    /// The gateway stops: the clients hear when their transports will be closed at the latest.
    pub fn drained<L: Limits<Ticket = T>>(&mut self, window: Duration, step: &mut Step<'_, L>) {
        for socket in &self.sockets {
            let json = format!("{{\"reconnectAfterMs\":{}}}", window.as_millis());
            step.emit(socket.id, output::Event::new(event::SERVER_DRAINING, json));
        }
    }

    /// Does something for a socket, if it is still here, and lets its commands go on. If that panics, its client comes
    /// back.
    fn with<L: Limits<Ticket = T>>(
        &mut self,
        id: SocketId,
        step: &mut Step<'_, L>,
        act: impl FnOnce(&mut SocketState<T>, &mut Step<'_, L>),
    ) {
        let Some(socket) = self.socket(id) else { return };
        let is_done = step.contained(|step| {
            act(socket, step);
            order::own_may_have_come(socket, step);
        });
        if !is_done {
            step.out.push(Output::Close(id));
        }
    }
}

#[cfg(test)]
mod tests;
