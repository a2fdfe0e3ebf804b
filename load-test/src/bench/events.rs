//! Events to the inboxes of idle users, so that what they leave behind in the gateway can be seen.

use anyhow::Context as _;
use proto::{
    UserId,
    inbox::{SoftEvent, TypingChanged, soft_event::Event},
    subjects::Subjects,
};

use prost::Message as _;

/// Events for each user. More than 32: of so many messages are the blocks of tokio's channels, which each subscription
/// of async-nats has.
pub const EVENTS: usize = 40;

/// Tells each user that somebody has stopped typing, in a chat that none of them has open: all is done as for any other
/// event, and no client hears of it.
#[expect(clippy::disallowed_methods, reason = "a tool that takes nothing else from the service kit")]
pub async fn publish<'a>(nats_url: &str, users: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let stopped = TypingChanged { match_id: "nobody".into(), user_id: "nobody".into(), is_typing: false };
    let payload = SoftEvent { event: Some(Event::TypingChanged(stopped)) }.encode_to_vec();
    let subjects = Subjects::default();
    let inboxes: Result<Vec<_>, _> =
        users.map(|user| UserId::new(user).map(|user| subjects.soft_inbox(&user))).collect();
    let inboxes = inboxes.context("a user's id is malformed")?;
    let client = async_nats::connect(nats_url).await?;
    for _ in 0..EVENTS {
        for inbox in &inboxes {
            client.publish(inbox.as_str().to_owned(), payload.clone().into()).await?;
        }
        client.flush().await?;
    }
    Ok(())
}
