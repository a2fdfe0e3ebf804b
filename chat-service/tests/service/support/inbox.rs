//! What a user's gateways hear.

use std::time::Duration;

use proto::{
    UserId,
    chat::Message,
    inbox::{InboxEvent, inbox_event::Event},
};
use service_kit::bus::{Bus, Subscription};
use tokio::time::timeout;

use super::PATIENCE;

/// Everything that a user's gateways hear from now on.
pub(crate) async fn inbox(bus: &Bus, user: &str) -> Inbox {
    let subject = bus.subjects().inbox(&UserId::new(user).unwrap());
    let events = bus.subscribe(&subject).await.unwrap();
    bus.flush().await.unwrap();
    Inbox { events }
}

pub(crate) struct Inbox {
    events: Subscription<InboxEvent>,
}

impl Inbox {
    pub(crate) async fn next(&mut self) -> Event {
        let next = timeout(PATIENCE, self.events.next()).await.expect("an event in time");
        next.unwrap().0.event.unwrap()
    }

    /// The next `count` messages.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            if let Event::MessagesPosted(posted) = self.next().await {
                messages.extend(posted.messages);
            }
        }
        messages
    }

    /// What has come and nobody has read, once NATS has delivered all that was published on `bus` before.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut rest = Vec::new();
        while let Ok(Some((event, _))) = timeout(Duration::from_millis(200), self.events.next()).await {
            rest.extend(event.event);
        }
        rest
    }
}
