//! What a sync tells: as many matches as an answer holds.

use proto::{
    chat::{SyncResponse, SyncedMatch},
    signaling::Call,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::views::{self, MessageFields, SyncedMatchView};

/// The largest answer: half of what may wait for a client, so that what comes next does not close its transport.
const MAX_BYTES: usize = 128 * 1024;
/// What of it is kept for everything but matches and blocked users.
const FRAME_BYTES: usize = 1024;
/// Most bytes of blocked users.
const MAX_BLOCKED_BYTES: usize = 32 * 1024;

/// What chat-service has answered, and the user's live call.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// The answer.
    pub response: SyncResponse,
    /// The call.
    pub call: Option<Call>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    token: &'a str,
    reset: bool,
    has_more: bool,
    epoch: &'a str,
    matches: &'a [Box<RawValue>],
    /// `null`: as it was.
    blocked: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked_limited: bool,
}

impl Synced {
    /// `{token, reset, hasMore, epoch, matches, blocked, blockedLimited?}`, in an ack with `ok`. What does not fit
    /// comes with the next one.
    pub fn json(&self, fields: MessageFields, ok: Option<bool>) -> String {
        let response = &self.response;
        let blocked = response.blocked.as_ref().map(|blocked| fitting(&blocked.user_ids));
        let call = self.call.as_ref();
        let whole = |of: &SyncedMatch| views::to_json(&SyncedMatchView::new(of, call, fields));
        let small = |of: &SyncedMatch| views::to_json(&SyncedMatchView::without_content(of, call));
        let Page { matches, token, has_more } = self.page(blocked.map_or(0, size), whole, small);
        let all_blocked = response.blocked.as_ref().map_or(0, |blocked| blocked.user_ids.len());
        views::to_json(&Answer {
            ok,
            token,
            reset: response.reset,
            has_more,
            epoch: &response.epoch,
            matches: &matches,
            blocked,
            blocked_limited: blocked.map_or(0, <[_]>::len) < all_blocked,
        })
    }

    /// The first matches, as many as fit into an answer beside so many other bytes, but at least one: of a match that
    /// is too large alone the small view.
    pub fn page(
        &self,
        taken: usize,
        whole: impl Fn(&SyncedMatch) -> String,
        small: impl Fn(&SyncedMatch) -> String,
    ) -> Page<'_> {
        let room = MAX_BYTES - FRAME_BYTES - taken;
        let (mut matches, mut bytes) = (Vec::new(), 0);
        let mut page = Page { matches: Vec::new(), token: &self.response.token, has_more: self.response.has_more };
        for of in &self.response.matches {
            let mut view = whole(of);
            if bytes + view.len() > room && !matches.is_empty() {
                page.has_more = true;
                break;
            }
            if view.len() > room {
                view = small(of);
            }
            bytes += view.len() + 1;
            matches.extend(RawValue::from_string(view));
            page.token = &of.token;
        }
        if !page.has_more {
            page.token = &self.response.token;
        }
        Page { matches, ..page }
    }
}

/// Matches that fit into an answer.
#[derive(Debug)]
pub struct Page<'a> {
    /// Their views.
    pub matches: Vec<Box<RawValue>>,
    /// What asks for what follows.
    pub token: &'a str,
    /// Whether more follow.
    pub has_more: bool,
}

/// The first users, as many as fit.
fn fitting(users: &[String]) -> &[String] {
    let mut bytes = 0;
    let count = users.iter().take_while(|user| {
        bytes += quoted(user);
        bytes <= MAX_BLOCKED_BYTES
    });
    &users[..count.count()]
}

fn size(users: &[String]) -> usize {
    users.iter().map(|user| quoted(user)).sum()
}

/// Ids need no escapes, but quotes and a comma.
fn quoted(id: &str) -> usize {
    id.len() + 3
}

#[cfg(test)]
mod tests;
