//! The question whether somebody is online, to that user's inbox: who holds the user answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{UserId, inbox::PresenceAnswer};
use service_kit::bus::BusError;
use tokio::time::{sleep, timeout};

use crate::{
    chat::{context::Context, users::User},
    metrics,
};

/// How long a join waits to learn whether somebody is online. Without an answer that is not known.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ASK_PATIENCE: Duration = Duration::from_secs(1);
/// Who has no socket of the user in use answers later than who has one, so that the first answer is the right one.
const DENIAL_PAUSE: Duration = Duration::from_millis(50);

/// What a question has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A socket of the user is in use.
    Here,
    /// None is, on any gateway.
    Nowhere,
    /// Nobody knows: NATS is away, or a gateway is silent.
    Unanswered,
}

/// Whether a socket of the user is in use here, or was just now.
pub(super) fn is_here(context: &Context, user: &UserId) -> bool {
    let is_active = |user: Arc<User>| user.state().core.is_active();
    context.users.get(user.as_str()).is_some_and(is_active) || context.presence.leaving().has(user)
}

/// Asks all gateways.
pub(super) async fn ask_all(context: &Context, of: &UserId) -> Asked {
    let (asked, outcome) = match context.inboxes.ask_presence(of, ASK_PATIENCE).await {
        Ok(PresenceAnswer { is_active: true }) => (Asked::Here, "here"),
        Ok(PresenceAnswer { is_active: false }) => (Asked::Nowhere, "idle"),
        Err(BusError::NoResponders) => (Asked::Nowhere, "nobody"),
        Err(_) => (Asked::Unanswered, "unanswered"),
    };
    metrics::presence_asked(outcome);
    asked
}

/// Asks whether a watched user is online, and tells the watchers what is news to them. After a `went`, that the user
/// has gone, one question that nobody answers suffices.
pub(in crate::chat) async fn ask(context: &Arc<Context>, of: &UserId, went: bool) {
    let table = &context.presence.watched;
    let Some(number) = table.with(of, |entry| entry.watched.ask()) else { return };
    let asked = if is_here(context, of) { Asked::Here } else { ask_all(context, of).await };
    let (now, grace) = (Instant::now(), context.presence.grace);
    let is_news = table.with(of, |entry| match asked {
        Asked::Here => entry.watched.is_here(),
        Asked::Nowhere if went => entry.watched.is_gone(number),
        Asked::Nowhere => entry.watched.is_nowhere(number, now, grace),
        Asked::Unanswered => {
            entry.watched.is_cut_off();
            false
        }
    });
    if is_news == Some(true) {
        context.presence.news.add(of);
    }
}

/// Whether somebody whom a user may see is online, for a socket that is about to watch that one. `None` if it is not
/// known in time.
pub(in crate::chat) async fn look(context: &Arc<Context>, of: &UserId) -> Option<bool> {
    let table = &context.presence.watched;
    let sid = table.enter(of)?;
    if let Some(online) = table.online(of) {
        return Some(online);
    }
    // What is announced behind the answer must not be missed.
    let asked = async {
        if context.inboxes.subscribed(of, sid).await.is_ok() {
            ask(context, of, false).await;
        }
    };
    // Without an answer in time the next round asks.
    let _ = timeout(LOOK_PATIENCE, asked).await;
    table.online(of)
}

/// Answers for a user who is here, or was just now.
pub(in crate::chat) fn answer(context: &Arc<Context>, user: &Arc<User>, reply: &str) {
    let (context, user, reply) = (Arc::clone(context), Arc::clone(user), reply.to_owned());
    context.lifecycle.clone().spawn(async move {
        if !is_here(&context, &user.id) {
            sleep(DENIAL_PAUSE).await;
        }
        let answer = PresenceAnswer { is_active: is_here(&context, &user.id) };
        context.services.bus.answer_to(&reply, &answer).await;
    });
}
