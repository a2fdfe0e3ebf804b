//! What a user hears on `user.<userId>`, given to each of the user's sockets here.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use prost::Message as _;
use proto::{
    MatchId, UserId,
    inbox::{
        CallChanged, InboxEvent, MessagesPosted, MilestoneReached, SignalTaken, SocketReplaced, TypingChanged,
        inbox_event::Event,
    },
};
use service_kit::telemetry::propagation;
use tracing::{info_span, warn};

use super::{
    Context, Socket, call_events, delivery,
    feed::{Announced, Posted},
    users::User,
};
use crate::{
    inboxes::{Listener, Message},
    metrics,
};

/// Gives the users whose inboxes one connection subscribes what they hear.
#[derive(Debug)]
pub struct Receiver {
    context: Arc<Context>,
    /// Users who are shown somebody as typing, by the numbers of their subscriptions.
    watching: HashMap<u64, Arc<User>>,
}

impl Receiver {
    /// One for each connection.
    pub fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context), watching: HashMap::new() }
    }
}

impl Listener for Receiver {
    fn hear(&mut self, message: &Message<'_>) {
        let owner = self.context.inboxes.owner(message.subject);
        // Who has just gone hears no more.
        let Some(user) = owner.and_then(|id| self.context.users.get(id)) else { return };
        // Counted before it is given to the sockets.
        user.hears();
        let event = match InboxEvent::decode(message.payload) {
            Ok(event) => event,
            Err(error) => {
                warn!(subject = message.subject, %error, "an undecodable event was dropped");
                return metrics::inbox_event_undecodable();
            }
        };
        let span = info_span!("receive", otel.kind = "consumer");
        propagation::continue_from(&span, &|name| message.headers.get(name));
        // A panic, which was logged where it happened, costs this event, as if it had been lost on the way: the connection serves
        // other users too.
        let _ = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| self.receive(&user, event, message.reply))));
    }

    fn tick(&mut self, now: Instant) {
        self.watching.retain(|_, user| {
            while let Some((chat, typist)) = user.memory().expire_typist(now) {
                show_typing(user, &chat, &typist, false);
            }
            user.memory().has_typists()
        });
    }

    fn each(&self, subscribe: &mut dyn FnMut(&UserId, u64)) {
        self.context.users.each(|user| subscribe(&user.id, user.sid));
    }
}

impl Receiver {
    fn receive(&mut self, user: &Arc<User>, event: InboxEvent, reply: Option<&str>) {
        match event.event {
            Some(Event::MessagesPosted(posted)) => self.messages_posted(user, posted),
            Some(Event::TypingChanged(changed)) => self.typing_changed(user, &changed),
            Some(Event::MilestoneReached(reached)) => milestone_reached(user, reached),
            Some(Event::MatchClosed(closed)) => match_closed(user, &closed.match_id),
            Some(Event::CallChanged(changed)) => self.call_changed(user, &changed, reply),
            Some(Event::SocketReplaced(replaced)) => socket_replaced(user, &replaced),
            // A newer version's event, which this one does not know.
            None => {}
        }
    }

    fn messages_posted(&self, user: &User, posted: MessagesPosted) {
        let fields = self.context.message_fields;
        let posts = posted.messages.into_iter().filter_map(|message| Posted::new(message, fields));
        let posts: Vec<_> = posts.collect();
        for posted in &posts {
            let was_typing = user.memory().typing_stopped(&posted.chat, &posted.sender);
            if was_typing {
                show_typing(user, &posted.chat, &posted.sender, false);
            }
        }
        for socket in user.sockets() {
            delivery::post(&self.context, &socket, &posts);
        }
    }

    fn typing_changed(&mut self, user: &Arc<User>, changed: &TypingChanged) {
        let (Ok(chat), Ok(typist)) = (MatchId::new(changed.match_id.as_str()), UserId::new(changed.user_id.as_str()))
        else {
            return;
        };
        if changed.is_typing {
            user.memory().typing_started(&chat, &typist, Instant::now());
            self.watching.entry(user.sid).or_insert_with(|| Arc::clone(user));
        } else {
            user.memory().typing_stopped(&chat, &typist);
        }
        show_typing(user, &chat, &typist, changed.is_typing);
    }

    /// Gives the user's sockets a step of a call. Only the gateway that holds the addressed device answers a signal, so
    /// silence means that no device has it.
    fn call_changed(&self, user: &User, changed: &CallChanged, reply: Option<&str>) {
        let mut taken = false;
        for socket in user.sockets() {
            taken |= call_events::give(&socket, changed);
        }
        if let (true, Some(reply)) = (taken, reply) {
            let (bus, reply) = (self.context.services.bus.clone(), reply.to_owned());
            self.context.lifecycle.spawn(async move { bus.answer_to(&reply, &SignalTaken {}).await });
        }
    }
}

fn show_typing(user: &User, chat: &MatchId, typist: &UserId, is_typing: bool) {
    let packet = delivery::user_typing(chat, typist, is_typing);
    for socket in user.sockets() {
        delivery::show_typing(&socket, chat, is_typing, &packet);
    }
}

fn milestone_reached(user: &User, reached: MilestoneReached) {
    let (Ok(chat), Some(milestone)) = (MatchId::new(reached.match_id), reached.milestone) else { return };
    let is_news = user.memory().is_news(&chat, milestone.rev);
    let announced = Arc::new(Announced { chat, milestone });
    for socket in user.sockets() {
        // Who has connected since may have been told elsewhere, and learns it when joining.
        let to_all = is_news && socket.was_connected(announced.milestone.reached_at_ms);
        delivery::announce(&socket, &announced, to_all);
    }
}

fn match_closed(user: &User, id: &str) {
    let Ok(chat) = MatchId::new(id) else { return };
    user.memory().chat_closed(&chat);
    for socket in user.sockets() {
        delivery::close(&socket, &chat);
    }
}

fn socket_replaced(user: &User, replaced: &SocketReplaced) {
    for socket in user.sockets().iter().filter(|socket| is_of(socket, &replaced.pid)) {
        if socket.is_replaced_by(replaced.connected_at_ms, replaced.connection) {
            socket.emitter.disconnect_transport();
        }
    }
}

fn is_of(socket: &Socket, pid: &str) -> bool {
    socket.pid.as_ref().is_some_and(|own| own.as_str() == pid)
}
