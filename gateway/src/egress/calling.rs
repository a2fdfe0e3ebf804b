//! Call commands: one request to signaling-service, and its failures as clients see them.

use std::time::{Duration, Instant};

use proto::{
    Code, MatchId,
    signaling::{Call, CallRequest, call_reply::Reply},
};
use service_kit::{bus::BusError, clock};

use super::Services;
use crate::failure::{Failure, of_bus};

/// How long a call command may take.
const WINDOW: Duration = Duration::from_secs(2);
/// The pause before a command that nobody took is given again.
const PAUSE: Duration = Duration::from_millis(100);

impl Services {
    /// Carries out a call command within 2 s and returns the call after it.
    ///
    /// The deadline in the request is set here. It is repeated only while nobody serves the subject, and so never
    /// carried out twice.
    pub async fn call(&self, match_id: &MatchId, mut request: CallRequest) -> Result<Call, Failure> {
        let began = Instant::now();
        let subject = self.bus.subjects().call(match_id);
        request.deadline_ms = clock::deadline_in(WINDOW);
        loop {
            let patience = WINDOW.saturating_sub(began.elapsed());
            match self.bus.request(&subject, &request, patience).await {
                Err(BusError::NoResponders) if began.elapsed() + PAUSE < WINDOW => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(of_bus(error)),
                Ok(reply) => {
                    return match reply.reply {
                        Some(Reply::Call(call)) => Ok(call),
                        Some(Reply::Failure(failure)) => Err(failure.into()),
                        None => Err(Code::Internal.into()),
                    };
                }
            }
        }
    }
}
