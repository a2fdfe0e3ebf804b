//! Sending messages: one request, repeated whole and with the same ids until its outcome is known or its time is over.

use std::time::Instant;

use proto::{
    MatchId,
    chat::{SendReply, SendRequest},
};
use service_kit::{bus::BusError, clock};

use gateway_core::tries::{Route, Tries};

use super::Services;

impl Services {
    /// Sends the drafts of `request` and says for each what has become of it, in the same order, within 5 s.
    ///
    /// The deadline in the request is set here. A draft whose outcome stays unknown has failed with `UNAVAILABLE`, any
    /// other failure is final. What an answered try of this request stored is no duplicate to its later ones; what one
    /// without an answer stored is.
    pub async fn send(&self, match_id: &MatchId, mut request: SendRequest) -> SendReply {
        let now = Instant::now();
        let mut tries = Tries::new(request.drafts.len(), now, self.admission.is_strained(now));
        loop {
            self.try_once(match_id, &mut request, &mut tries).await;
            let Some(pause) = tries.next(Instant::now(), fastrand::f64()) else { break };
            tokio::time::sleep(pause).await;
        }
        if tries.is_unknown() {
            tracing::warn!(%match_id, tries = tries.count(), "the outcome of a send is unknown");
        }
        tries.into_reply()
    }

    async fn try_once(&self, match_id: &MatchId, request: &mut SendRequest, tries: &mut Tries) {
        let subjects = self.bus.subjects();
        let subject = match tries.route() {
            Route::Owner => subjects.send(match_id),
            Route::Any => subjects.send_any(match_id),
        };
        let now = Instant::now();
        request.deadline_ms = clock::deadline_in(tries.deadline(now));
        match self.inboxes.request(&request.sender_id, &subject, &*request, tries.patience(now)).await {
            Ok(reply) => {
                if !tries.answered(reply) {
                    tracing::error!(?subject, "a reply does not fit its request");
                }
            }
            Err(error) => {
                if error != BusError::NoResponders {
                    tries.unanswered();
                }
                tracing::debug!(?subject, %error, "a send is tried again");
            }
        }
    }
}
