//! After a COMMIT: who has asked is answered, then everybody else hears of it.

use std::collections::BTreeMap;

use proto::{MatchId, inbox::chat_event::Event};
use service_kit::mutation::{self, Mutation};
use tracing::{Span, info, info_span};

use super::entrance::Ticket;
use crate::{
    announcer::Told,
    audience::Audience,
    audiences::Audiences,
    inbox::Inbox,
    lanes::{Answered, Progress},
    news::News,
    posted::Posted,
    shared::Shared,
};

/// Only for [`Mutation::CrashAfterCommit`]: the message that completes the milestone that there is unless configured
/// otherwise.
const COMPLETING_SEQ: i64 = 100;

/// The traces that the news of matches belong to.
pub(super) type Sources = BTreeMap<MatchId, Span>;

/// Answers who waits.
pub(super) fn answer(answered: Answered<Ticket>) -> (MatchId, Span) {
    let Ticket { answer, span, .. } = answered.ticket;
    // A caller that has stopped waiting has answered its own caller.
    let _ = answer.send(answered.outcome);
    (answered.match_id, span)
}

/// The one way in which inboxes and the stream of commits hear of a batch.
#[derive(Debug)]
pub(super) struct Telling {
    inbox: Inbox,
    posted: Posted,
    audiences: Audiences,
    told: Told,
}

impl Telling {
    pub(super) fn new(shared: &Shared, told: Told) -> Self {
        let (posted, audiences) = (shared.posted.clone(), shared.audiences.clone());
        Self { inbox: Inbox::new(shared), posted, audiences, told }
    }

    /// Something may have been committed of which nobody can tell now.
    pub(super) fn note_unknown(&self) {
        self.posted.missed();
    }

    /// The members of these matches are others than was known.
    pub(super) fn note_changed(&self, changed: &BTreeMap<MatchId, Audience>) {
        for (id, audience) in changed {
            self.audiences.note(id, audience);
        }
    }

    /// Tells of matches of which somebody was answered. Never waits.
    pub(super) fn tell(&self, sources: &Sources, progress: Vec<Progress>, news: Vec<News>) {
        for Progress { match_id, last_seq, committed_ms } in progress {
            if let Some(span) = sources.get(&match_id) {
                self.posted.moved((&match_id, last_seq), committed_ms, span);
            }
        }
        for news in news {
            if let Some(span) = sources.get(&news.match_id) {
                let span = info_span!(parent: span, "publish", otel.kind = "producer");
                span.in_scope(|| self.publish(news));
            }
        }
    }

    /// The last events leave.
    pub(super) async fn flush(&self) {
        let _ = self.inbox.flush().await;
    }

    /// A failure is counted there: the gateways see the gap, or that their heads differ, and read what they missed.
    fn publish(&self, news: News) {
        let milestone = news.milestone();
        let News { audience, event, .. } = news;
        let Some(milestone) = milestone else {
            let _ = self.inbox.publish_at_once(audience.members(), event);
            return;
        };
        // Without NATS it would wait, and come a second time after the announcer of another replica has told it.
        if self.inbox.is_connected() && self.inbox.publish_at_once(audience.members(), event).is_ok() {
            info!(r#match = %milestone.0, milestone = milestone.1, "a milestone is announced");
            self.told.note(milestone);
        }
    }
}

/// Only for [`Mutation::CrashAfterCommit`].
pub(super) fn completes_milestone(news: &[News]) -> bool {
    let completes = |news: &News| match &news.event {
        Event::MessagesPosted(posted) => posted.messages.iter().any(|message| message.seq == COMPLETING_SEQ),
        _ => false,
    };
    mutation::is_broken(Mutation::CrashAfterCommit) && news.iter().any(completes)
}
