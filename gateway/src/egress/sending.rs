//! Sending messages: one request, repeated whole and with the same ids until its outcome is known or its time is over.

use std::time::{Duration, Instant};

use proto::{
    MatchId,
    chat::{SendReply, SendRequest},
};
use service_kit::clock;

use super::{Services, outcomes::Outcomes};

/// How long one try waits for its reply.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a request is repeated before its outcome stays unknown.
const WINDOW: Duration = Duration::from_secs(5);
/// The first pause between tries that fail at once; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Services {
    /// Sends the drafts of `request` and says for each what has become of it, in the same order, within 5 s.
    ///
    /// The deadline in the request is set here. A draft whose outcome stays unknown has failed with `UNAVAILABLE`; what
    /// this very request stored is no duplicate, whichever of its tries did it.
    pub async fn send(&self, match_id: &MatchId, mut request: SendRequest) -> SendReply {
        let began = Instant::now();
        let mut outcomes = Outcomes::unknown(request.drafts.len());
        for try_no in 0.. {
            let patience = PATIENCE.min(WINDOW.saturating_sub(began.elapsed()));
            self.try_once(match_id, &mut request, (try_no, patience), &mut outcomes).await;
            let Some(wait_ms) = outcomes.retry_after_ms() else { break };
            let pause = pause_after(try_no).max(Duration::from_millis(wait_ms));
            if began.elapsed() + pause >= WINDOW {
                tracing::warn!(%match_id, tries = try_no + 1, "the outcome of a send is unknown");
                break;
            }
            tokio::time::sleep(pause).await;
        }
        outcomes.into_reply()
    }

    async fn try_once(
        &self,
        match_id: &MatchId,
        request: &mut SendRequest,
        (try_no, patience): (u32, Duration),
        outcomes: &mut Outcomes,
    ) {
        let subjects = self.bus.subjects();
        // The owner may be gone without anybody having noticed yet: every other try goes to whoever is there.
        let subject = if try_no.is_multiple_of(2) { subjects.send(match_id) } else { subjects.send_any(match_id) };
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        request.deadline_ms = clock::unix_ms().saturating_add(patience_ms);
        match self.bus.request(&subject, request, patience).await {
            Ok(reply) => outcomes.absorb(reply),
            Err(error) => tracing::debug!(?subject, %error, "a send is tried again"),
        }
    }
}

/// Up to half is random, so that those who failed together do not come back together.
fn pause_after(try_no: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(try_no)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}
