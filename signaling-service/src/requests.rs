//! NATS: requests of the gateways, checked and answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    MatchId, UserId,
    ids::CallId,
    signaling::{CallReply, CallRequest, call_reply::Reply, call_request::Command as Wanted},
    subjects::OWNER_GROUP,
};
use service_kit::{
    Lifecycle,
    bus::{Bus, BusError},
    clock,
};
use tokio::time::timeout;

use crate::{
    call::Command,
    failure::Failure,
    metrics::Metrics,
    rpc,
    switchboard::{Request, Switchboard, Wish},
};

/// Requests in work at once; more wait in the subscription, as many as that holds.
const REQUESTS_AT_ONCE: usize = 256;
/// What a request may take, whatever its own deadline says.
const MAX_PATIENCE: Duration = Duration::from_secs(5);
/// The longest `signal` or payload: what a client's frame can hold.
const MAX_JSON_LEN: usize = 64 * 1024;
/// The longest `media`. Gateways refuse longer ones, too.
const MAX_MEDIA_LEN: usize = 2 * 1024;
const MAX_DEVICE_LEN: usize = 128;
/// The longest reason that a client may give for a rejection or an end, in Unicode scalar values.
const MAX_REASON_CHARS: usize = 64;

/// Serves the calls of every match, together with the other replicas, until the process stops.
pub async fn serve(
    bus: &Bus,
    switchboard: Arc<Switchboard>,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> Result<(), BusError> {
    let subject = bus.subjects().all_calls();
    bus.serve((&subject, OWNER_GROUP), REQUESTS_AT_ONCE, lifecycle, move |request| {
        let (switchboard, metrics) = (switchboard.clone(), metrics.clone());
        async move { answer(&switchboard, &metrics, request).await }
    })
    .await
}

/// `None` when nobody waits for the answer any more.
async fn answer(switchboard: &Switchboard, metrics: &Metrics, request: CallRequest) -> Option<CallReply> {
    let left = clock::until(request.deadline_ms).min(MAX_PATIENCE);
    if left.is_zero() {
        return None;
    }
    let started = Instant::now();
    let command = name(request.command.as_ref());
    let outcome = match parse(request) {
        // The rest is for the answer's way back, so that the gateway hears of the failure and not of silence.
        Ok(request) => carry_out(switchboard, &request, left * 9 / 10).await,
        Err(failure) => Err(failure),
    };
    let code = outcome.as_ref().err().map(Failure::code);
    metrics.command(command, code.map_or("OK", |code| code.as_str_name()), started.elapsed());
    Some(CallReply { reply: Some(outcome.unwrap_or_else(|failure| Reply::Failure(failure.to_wire()))) })
}

async fn carry_out(switchboard: &Switchboard, request: &Request, patience: Duration) -> Result<Reply, Failure> {
    let outcome = timeout(patience, switchboard.handle(request)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Failure::Unavailable("the deadline has passed".to_owned())));
    // A signal that no device took is a matter of the other party's connection.
    if let Err(failure @ Failure::Unavailable(_)) = &outcome {
        tracing::warn!(match_id = %request.match_id, %failure, "a command failed");
    }
    outcome.map(|call| Reply::Call(rpc::to_wire(&call)))
}

fn parse(request: CallRequest) -> Result<Request, Failure> {
    let malformed = |_| Failure::InvalidPayload;
    let match_id = MatchId::new(request.match_id).map_err(malformed)?;
    let user = UserId::new(request.user_id).map_err(malformed)?;
    let call_id = request.call_id.map(CallId::new).transpose().map_err(malformed)?;
    let wish = wish(request.command.ok_or(Failure::InvalidPayload)?);
    if matches!(&wish, Wish::Ring { media: Some(media) } if media.len() > MAX_MEDIA_LEN) {
        return Err(Failure::PayloadTooLarge);
    }
    let is_device = is_device(&request.device) && names_device(&wish);
    if !is_device || longest_json(&wish) > MAX_JSON_LEN || reason_len(&wish) > MAX_REASON_CHARS {
        return Err(Failure::InvalidPayload);
    }
    Ok(Request { match_id, user, device: request.device, call_id, wish })
}

fn wish(wanted: Wanted) -> Wish {
    Wish::Command(match wanted {
        Wanted::Ring(ring) => return Wish::Ring { media: ring.media },
        Wanted::Signal(signal) => return Wish::Relay { payload: signal.payload },
        Wanted::Accept(accept) => Command::Accept { signal: accept.signal },
        Wanted::Reject(reject) => Command::Reject { signal: reject.signal, reason: reject.reason },
        Wanted::End(end) => Command::End { signal: end.signal, reason: end.reason },
        Wanted::Renew(_) => Command::Renew,
        Wanted::TakeOver(taken) => Command::TakeOver { earlier: taken.earlier_device },
    })
}

fn is_device(name: &str) -> bool {
    (1..=MAX_DEVICE_LEN).contains(&name.len())
}

/// Whether the other device that it names, if any, may be one.
fn names_device(wish: &Wish) -> bool {
    !matches!(wish, Wish::Command(Command::TakeOver { earlier }) if !is_device(earlier))
}

fn longest_json(wish: &Wish) -> usize {
    match wish {
        Wish::Relay { payload } => payload.len(),
        Wish::Command(Command::Accept { signal } | Command::Reject { signal, .. } | Command::End { signal, .. }) => {
            signal.as_ref().map_or(0, String::len)
        }
        Wish::Ring { .. } | Wish::Command(Command::Signal | Command::Renew | Command::TakeOver { .. }) => 0,
    }
}

fn reason_len(wish: &Wish) -> usize {
    match wish {
        Wish::Command(Command::Reject { reason, .. } | Command::End { reason, .. }) => {
            reason.as_ref().map_or(0, |reason| reason.chars().count())
        }
        _ => 0,
    }
}

fn name(command: Option<&Wanted>) -> &'static str {
    match command {
        Some(Wanted::Ring(_)) => "ring",
        Some(Wanted::Accept(_)) => "accept",
        Some(Wanted::Reject(_)) => "reject",
        Some(Wanted::End(_)) => "end",
        Some(Wanted::Signal(_)) => "signal",
        Some(Wanted::Renew(_)) => "renew",
        Some(Wanted::TakeOver(_)) => "take_over",
        None => "none",
    }
}
