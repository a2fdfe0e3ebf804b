//! What a user's gateways hear.

use std::time::Duration;

use proto::{
    UserId,
    chat::Message,
    inbox::{ChatEvent, chat_event::Event},
};
use service_kit::bus::Bus;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::PATIENCE;

/// More events than any test makes.
const MANY: usize = 100_000;

/// Everything that a user's gateways hear from now on. It is read as it comes, as gateways do: a subscription that is
/// full drops events.
pub(crate) async fn inbox(bus: &Bus, user: &str) -> Inbox {
    let subject = bus.subjects().chat_inbox(&UserId::new(user).unwrap());
    let mut subscription = bus.subscribe::<ChatEvent>(&subject).await.unwrap();
    bus.flush().await.unwrap();
    let (heard, events) = mpsc::channel(MANY);
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        while let Some((event, _)) = subscription.next().await {
            if heard.send(event).await.is_err() {
                return;
            }
        }
    });
    Inbox { events, _reading: reading }
}

pub(crate) struct Inbox {
    events: mpsc::Receiver<ChatEvent>,
    /// Ends with the inbox.
    _reading: JoinSet<()>,
}

impl Inbox {
    pub(crate) async fn next(&mut self) -> Event {
        let next = timeout(PATIENCE, self.events.recv()).await.expect("an event in time");
        next.unwrap().event.unwrap()
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
        while let Ok(Some(event)) = timeout(Duration::from_millis(200), self.events.recv()).await {
            rest.extend(event.event);
        }
        rest
    }
}

/// The places of what an event tells, in the order of the match: a change comes behind the message before it.
pub(crate) fn places(event: Event) -> Vec<(i64, i64)> {
    match event {
        Event::MessagesPosted(posted) => posted.messages.iter().map(|message| (message.seq, 0)).collect(),
        Event::MilestoneReached(reached) => {
            let milestone = reached.milestone.unwrap();
            vec![(milestone.after_seq, milestone.rev)]
        }
        Event::MatchClosed(closed) => vec![(closed.after_seq, closed.rev)],
        Event::MatchChanged(changed) => {
            let change = changed.change.unwrap();
            vec![(change.after_seq, change.rev)]
        }
        Event::MessageHidden(_) | Event::ReceiptUpdated(_) | Event::ReceiptsUpdated(_) | Event::SharingChanged(_) => {
            vec![]
        }
    }
}
