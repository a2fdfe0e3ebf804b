//! What nobody can read on a user's subjects, or may publish there, is counted. The user hears what comes after it.
//!
//! The services' programs have to be built: `cargo build --release --workspace` (`./dev test` does it).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/client.rs"]
mod client;
#[path = "support/stack.rs"]
mod stack;

use prost::Message as _;
use proto::{
    UserId,
    chat::Message,
    inbox::{ChatEvent, MessagesPosted, chat_event::Event},
};
use reqwest::Method;
use service_kit::{Lifecycle, NatsConfig, bus::Bus, health::Readiness};

use client::{Caller, Pair};
use stack::stack;

/// A user's socket, by long polling.
struct Socket<'a> {
    user: &'a Caller,
    path: String,
}

impl<'a> Socket<'a> {
    async fn connect(user: &'a Caller) -> Self {
        let mut socket = Self { user, path: "/socket.io/?EIO=4&transport=polling".to_owned() };
        let open = socket.poll().await;
        socket.path.push_str("&sid=");
        socket.path.push_str(open.split('"').nth(3).unwrap());
        let connect = format!(r#"40{{"token":"{}"}}"#, user.token());
        assert_eq!(user.send(user.request(Method::POST, &socket.path).body(connect)).await.status, 200);
        let connected = socket.poll().await;
        assert!(connected.starts_with("40{"), "{connected}");
        socket
    }

    /// The next packets, once there are any.
    async fn poll(&self) -> String {
        self.user.send(self.user.request(Method::GET, &self.path)).await.text
    }
}

async fn bus() -> Bus {
    let config = NatsConfig { nats_url: vec![stack().manifest.nats_url.parse().unwrap()], prefix: String::new() };
    let connected = Readiness::new(&Lifecycle::new()).condition("nats");
    Bus::connect(&config, "test", connected).await.unwrap()
}

/// What a counter of the gateway has come to.
async fn counted(counter: &str) -> Option<String> {
    let nobody = Caller::nobody();
    let metrics = nobody.send(nobody.request(Method::GET, "/metrics")).await.text;
    let line = metrics.lines().find(|line| line.starts_with(counter));
    line.and_then(|line| line.rsplit(' ').next()).map(ToOwned::to_owned)
}

#[tokio::test]
async fn an_undecodable_event_is_counted_and_the_next_one_is_heard() {
    let (pair, bus) = (Pair::create().await, bus().await);
    let bob = Socket::connect(&pair.bob).await;
    let inbox = bus.subjects().chat_inbox(&UserId::new(pair.members[1].as_str()).unwrap());
    bus.publish_encoded(&inbox, "\u{7f}no protobuf".into()).await.unwrap();
    bus.flush().await.unwrap();
    pair.fill(1).await;
    let heard = bob.poll().await;
    assert!(heard.starts_with(r#"42["inbox_updated""#), "{heard}");
    assert_eq!(counted("gateway_inboxes_undecodable_total").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_event_on_the_subject_of_another_kind_is_counted_and_not_heard() {
    let (pair, bus) = (Pair::create().await, bus().await);
    let bob = Socket::connect(&pair.bob).await;
    let inbox = bus.subjects().soft_inbox(&UserId::new(pair.members[1].as_str()).unwrap());
    let message = Message { match_id: pair.id.clone(), seq: 1, body: "\"forged\"".to_owned(), ..Message::default() };
    let posted = Event::MessagesPosted(MessagesPosted { messages: vec![message] });
    let forged = ChatEvent { event: Some(posted) }.encode_to_vec();
    bus.publish_encoded(&inbox, forged.into()).await.unwrap();
    bus.flush().await.unwrap();
    pair.fill(1).await;
    let heard = bob.poll().await;
    assert!(heard.starts_with(r#"42["inbox_updated""#) && heard.contains(pair.members[0].as_str()), "{heard}");
    assert_eq!(counted(r#"gateway_inboxes_misplaced_total{kind="chat""#).await.as_deref(), Some("1"));
}
