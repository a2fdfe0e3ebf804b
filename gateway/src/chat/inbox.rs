//! What a user hears on `user.<userId>.<kind>`.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use prost::Message as _;
use proto::{
    InboxKind, UserId,
    inbox::{InboxEvent, SignalTaken, inbox_event::Event},
};
use service_kit::telemetry::propagation;
use tracing::{info_span, warn};

use super::{
    context::Context,
    presence,
    shell::{self, Stepped},
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
        let Some((owner, kind)) = self.context.inboxes.named(message.subject) else {
            return presence::hear(&self.context, message);
        };
        // Who has just gone hears no more.
        let Some(user) = self.context.users.get(owner) else { return };
        let Some(event) = read(message, kind) else {
            user.state().core.hears();
            return;
        };
        if let (Some(Event::PresenceAsked(_)), Some(reply)) = (&event.event, message.reply) {
            return presence::answer(&self.context, &user, reply);
        }
        let span = info_span!("receive", otel.kind = "consumer");
        propagation::continue_from(&span, &|name| message.headers.get(name));
        // A panic, which was logged where it happened, costs this event, as if it had been lost on the way: the
        // connection serves other users too.
        let _ = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| self.receive(&user, event, message.reply))));
    }

    fn tick(&mut self, _: Instant) {
        self.watching.retain(|_, user| {
            let expired = shell::step(&self.context, user, |core, step| {
                core.expire_typists(step);
                core.has_typists()
            });
            expired.value
        });
    }

    fn each(&self, subscribe: &mut dyn FnMut(&UserId, u64)) {
        self.context.users.each(|user| subscribe(&user.id, user.sid));
    }

    fn each_watched(&self, subscribe: &mut dyn FnMut(&UserId, u64)) {
        self.context.presence.each_watched(subscribe);
    }
}

impl Receiver {
    fn receive(&mut self, user: &Arc<User>, event: InboxEvent, reply: Option<&str>) {
        let Stepped { value: (taken, has_typists), is_sent } = shell::step(&self.context, user, |core, step| {
            // Counted before it is given to the sockets, whatever it is. An event of a newer version is not known here.
            core.hears();
            let taken = event.event.is_some_and(|event| core.inbox_event(event, step));
            (taken, core.has_typists())
        });
        if has_typists {
            self.watching.entry(user.sid).or_insert_with(|| Arc::clone(user));
        }
        if let (true, Some(reply)) = (taken && is_sent, reply) {
            let (bus, reply) = (self.context.services.bus.clone(), reply.to_owned());
            self.context.lifecycle.spawn(async move { bus.answer_to(&reply, &SignalTaken {}).await });
        }
    }
}

/// The event of a message. `None` if it is dropped: nobody can read it, or it may not come on a subject of this kind.
fn read(message: &Message<'_>, kind: Option<InboxKind>) -> Option<InboxEvent> {
    let event = match InboxEvent::decode(message.payload) {
        Ok(event) => event,
        Err(error) => {
            warn!(subject = message.subject, %error, "an undecodable event was dropped");
            metrics::inbox_event_undecodable();
            return None;
        }
    };
    match event.event.as_ref().map(InboxKind::of) {
        Some(own) if Some(own) != kind => {
            warn!(subject = message.subject, kind = own.as_str(), "an event on another kind's subject was dropped");
            metrics::inbox_event_misplaced(own);
            None
        }
        _ => Some(event),
    }
}
