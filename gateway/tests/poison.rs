//! What nobody can read on a user's subject is counted, and the user hears what comes after it.
//!
//! The services' programs have to be built: `cargo build --release --workspace` (`./dev test` does it).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/client.rs"]
mod client;
#[path = "support/stack.rs"]
mod stack;

use proto::UserId;
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

async fn undecodable() -> Option<String> {
    let nobody = Caller::nobody();
    let metrics = nobody.send(nobody.request(Method::GET, "/metrics")).await.text;
    let line = metrics.lines().find(|line| line.starts_with("gateway_inboxes_undecodable_total"));
    line.and_then(|line| line.rsplit(' ').next()).map(ToOwned::to_owned)
}

#[tokio::test]
async fn an_undecodable_event_is_counted_and_the_next_one_is_heard() {
    let (pair, bus) = (Pair::create().await, bus().await);
    let bob = Socket::connect(&pair.bob).await;
    let inbox = bus.subjects().inbox(&UserId::new(pair.members[1].as_str()).unwrap());
    bus.publish_encoded(&inbox, "\u{7f}no protobuf".into()).await.unwrap();
    bus.flush().await.unwrap();
    pair.fill(1).await;
    let heard = bob.poll().await;
    assert!(heard.starts_with(r#"42["inbox_updated""#), "{heard}");
    assert_eq!(undecodable().await.as_deref(), Some("1"));
}
