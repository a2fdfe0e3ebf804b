//! What a user hears on `user.<userId>`, given to each of the user's sockets here.

use std::{sync::Arc, time::Instant};

use futures_util::future::OptionFuture;
use proto::{
    MatchId, UserId,
    client::event,
    inbox::{
        CallChanged, InboxEvent, MessagesPosted, MilestoneReached, SocketReplaced, TypingChanged, inbox_event::Event,
    },
};
use service_kit::bus::{BusError, Subscription};
use tokio::time::sleep_until;

use super::{
    Context, call_events, delivery,
    feed::{Announced, Posted},
    told::Told,
    typing::Typists,
    users::User,
};
use crate::{socketio::Packet, views};

/// Subscribes a user's inbox; when it returns, nothing published from then on is missed.
pub(super) async fn open(context: &Arc<Context>, user: &Arc<User>) -> Result<(), BusError> {
    let bus = &context.services.bus;
    let mut subscription = bus.subscribe(&bus.subjects().inbox(&user.id)).await?;
    bus.flush().await?;
    let mut inbox = Inbox {
        context: Arc::clone(context),
        user: Arc::clone(user),
        typists: Typists::default(),
        told: Told::default(),
        loss: Loss { every: context.drop_inbox_events, events: 0 },
    };
    // Each user has this task: it holds its parts once, as `listen` only borrows them.
    context.lifecycle.spawn(async move { inbox.listen(&mut subscription).await });
    Ok(())
}

/// A user's inbox, and what it remembers for all of the user's sockets.
struct Inbox {
    context: Arc<Context>,
    user: Arc<User>,
    typists: Typists,
    told: Told,
    loss: Loss,
}

/// The loss of events that a test asks for; see `Config::drop_inbox_events`.
#[derive(Debug)]
struct Loss {
    every: u64,
    events: u64,
}

impl Loss {
    fn takes_next(&mut self) -> bool {
        self.events += 1;
        self.every > 0 && self.events.is_multiple_of(self.every)
    }
}

impl Inbox {
    async fn listen(&mut self, subscription: &mut Subscription<InboxEvent>) {
        loop {
            // Boxed, as all the inboxes with nobody typing would hold room for it.
            let expiry = self.typists.next_expiry().map(|at| Box::pin(sleep_until(at.into())));
            tokio::select! {
                () = self.user.gone() => return,
                received = subscription.next() => match received {
                    Some((event, span)) => span.in_scope(|| self.receive(event)),
                    None => return,
                },
                Some(()) = OptionFuture::from(expiry) => self.expire_typists(Instant::now()),
            }
        }
    }

    fn receive(&mut self, event: InboxEvent) {
        if self.loss.takes_next() {
            return;
        }
        self.user.hears();
        match event.event {
            Some(Event::MessagesPosted(posted)) => self.messages_posted(posted),
            Some(Event::TypingChanged(changed)) => self.typing_changed(&changed),
            Some(Event::MilestoneReached(reached)) => self.milestone_reached(reached),
            Some(Event::MatchClosed(closed)) => self.match_closed(&closed.match_id),
            Some(Event::CallChanged(changed)) => self.call_changed(&changed),
            Some(Event::SocketReplaced(replaced)) => self.socket_replaced(&replaced),
            // A newer version's event, which this one does not know.
            None => {}
        }
    }

    fn messages_posted(&mut self, posted: MessagesPosted) {
        let posts: Vec<_> = posted.messages.into_iter().filter_map(Posted::new).collect();
        for posted in &posts {
            if self.typists.stopped(&posted.chat, &posted.sender) {
                self.show_typing(&posted.chat, &posted.sender, false);
            }
        }
        for socket in self.user.sockets() {
            delivery::post(&self.context, &socket, &posts);
        }
    }

    fn typing_changed(&mut self, changed: &TypingChanged) {
        let (Ok(chat), Ok(typist)) = (MatchId::new(changed.match_id.as_str()), UserId::new(changed.user_id.as_str()))
        else {
            return;
        };
        if changed.is_typing {
            self.typists.started(&chat, &typist, Instant::now());
        } else {
            self.typists.stopped(&chat, &typist);
        }
        self.show_typing(&chat, &typist, changed.is_typing);
    }

    fn expire_typists(&mut self, now: Instant) {
        while let Some((chat, typist)) = self.typists.expire(now) {
            self.show_typing(&chat, &typist, false);
        }
    }

    fn show_typing(&self, chat: &MatchId, typist: &UserId, is_typing: bool) {
        let shown = serde_json::json!({ "matchId": chat.as_str(), "userId": typist.as_str(), "isTyping": is_typing });
        let packet = Packet::event(event::USER_TYPING, &views::to_json(&shown));
        for socket in self.user.sockets() {
            let mut session = socket.session();
            if session.open_chat(chat).is_some() {
                let _ = socket.emitter.send(&packet);
            }
        }
    }

    fn milestone_reached(&mut self, reached: MilestoneReached) {
        let (Ok(chat), Some(milestone)) = (MatchId::new(reached.match_id), reached.milestone) else { return };
        let is_news = self.told.is_news(&chat, milestone.ord);
        let announced = Arc::new(Announced { chat, milestone });
        for socket in self.user.sockets() {
            delivery::announce(&socket, &announced, is_news);
        }
    }

    fn match_closed(&mut self, id: &str) {
        let Ok(chat) = MatchId::new(id) else { return };
        self.typists.forget(&chat);
        for socket in self.user.sockets() {
            delivery::close(&socket, &chat);
        }
    }

    fn socket_replaced(&self, replaced: &SocketReplaced) {
        for socket in self.user.sockets().iter().filter(|socket| socket.pid.as_str() == replaced.pid) {
            if socket.is_replaced_by(replaced.connected_at_ms, replaced.connection) {
                socket.emitter.disconnect_transport();
            }
        }
    }

    fn call_changed(&self, changed: &CallChanged) {
        for socket in self.user.sockets() {
            call_events::give(&socket, changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_event_is_lost_if_that_is_asked_for_and_none_else() {
        let lost = |every| {
            let mut loss = Loss { every, events: 0 };
            (1..=7).filter(|_| loss.takes_next()).collect::<Vec<u64>>()
        };
        assert_eq!(lost(3), [3, 6]);
        assert_eq!(lost(0), [0; 0]);
    }
}
