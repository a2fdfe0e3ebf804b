//! Carries commands out: reads the call, lets the pure core decide, stores by compare-and-set, tells both sides.
//!
//! Whoever stores a change announces it, so each change is announced by exactly one replica; should that one die
//! before, the deadlines have another one repeat it.

mod lookup;
mod telling;

pub use lookup::{Lookup, Missed};

use proto::{MatchId, UserId, ids::CallId};
use service_kit::bus::Bus;
use uuid::Uuid;

use crate::{
    access::Access,
    announcement,
    call::{self, Actor, Call, Command, Refusal, Ringing, State, Timing},
    failure::Failure,
    metrics::Metrics,
    store::{CallRef, Calls, Created, Snapshot, Stored},
};

/// How often a command is tried while others change the same call at the same time.
const MAX_ATTEMPTS: usize = 8;

/// All calls of one stack.
#[derive(Debug)]
pub struct Switchboard {
    calls: Calls,
    bus: Bus,
    access: Access,
    timing: Timing,
    metrics: Metrics,
}

/// A command of a user in a match, as the gateways ask for it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The match.
    pub match_id: MatchId,
    /// The user.
    pub user: UserId,
    /// The asking socket.
    pub device: String,
    /// Which call; the match's last one if absent.
    pub call_id: Option<CallId>,
    /// What is wanted.
    pub wish: Wish,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A new call.
    Ring {
        /// The client's `media` as JSON.
        media: Option<String>,
    },
    /// Something of a call that exists.
    Command(Command),
    /// To hand something to the other party's device.
    Relay {
        /// The client's whole object as JSON.
        payload: String,
    },
}

impl Switchboard {
    /// Calls in `calls`, announced on `bus`, allowed by `access`.
    pub fn new(calls: Calls, bus: Bus, access: Access, timing: Timing, metrics: Metrics) -> Self {
        Self { calls, bus, access, timing, metrics }
    }

    /// Carries a request out. Answers with the call as it then is.
    pub async fn handle(&self, request: &Request) -> Result<Call, Failure> {
        match &request.wish {
            Wish::Ring { media } => self.ring(request, media.as_deref()).await,
            Wish::Command(command) => self.command(request, command).await,
            Wish::Relay { payload } => {
                let call = self.command(request, &Command::Signal).await?;
                let relayed = announcement::relay(&call, &request.user, payload.clone()).ok_or(Failure::NotTaken)?;
                self.relay(relayed).await?;
                Ok(call)
            }
        }
    }

    /// Does what is due for a call: ends it, or announces its last change once more.
    pub async fn tick(&self, due: &CallRef) -> Result<(), Failure> {
        let Snapshot { now_ms, found } = self.calls.by_id(&due.call_id).await?;
        let Some(stored) = found else {
            return Ok(self.calls.forget(due).await?);
        };
        let next = stored.call.lapsed(now_ms).or_else(|| stored.call.repeated(now_ms));
        // With nothing due, storing it as it is puts back the time at which something will be.
        let next = next.unwrap_or_else(|| stored.call.clone());
        self.change(&stored, &next, now_ms).await.map(|_| ())
    }

    /// Ends the live call of a match if it may not go on there.
    async fn close(&self, id: &MatchId, is_over: impl Fn(&Call) -> bool) -> Result<(), Failure> {
        for _ in 0..MAX_ATTEMPTS {
            let Snapshot { now_ms, found } = self.calls.of_match(id).await?;
            let Some(stored) = found.filter(|stored| is_over(&stored.call)) else { return Ok(()) };
            let Some(ended) = stored.call.closed(now_ms) else { return Ok(()) };
            if self.change(&stored, &ended, now_ms).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Ends the live calls of those matches that are closed, or that a party of the call has left.
    pub async fn close_forbidden(&self, ids: &[MatchId]) -> Result<(), Failure> {
        for of in self.access.unsettled_among(ids).await? {
            self.close(&of.id, |call| of.forbids([&call.caller, &call.callee])).await?;
        }
        Ok(())
    }

    /// Every call for which something will be due, if it is this replica's turn to look at them.
    pub async fn sweep_turn(&self) -> Result<Option<Vec<CallRef>>, Failure> {
        if self.calls.take_sweep_turn().await? { Ok(Some(self.calls.live().await?)) } else { Ok(None) }
    }

    /// Up to `limit` calls for which something is due now, for this replica alone.
    pub async fn claim_due(&self, limit: usize) -> Result<Vec<CallRef>, Failure> {
        Ok(self.calls.claim_due(limit).await?)
    }

    async fn ring(&self, request: &Request, media: Option<&str>) -> Result<Call, Failure> {
        let Request { match_id, user, .. } = request;
        let known = self.access.open_match(match_id, user).await?;
        let callee = known.members.iter().find(|member| *member != user.as_str());
        let callee = callee.and_then(|member| UserId::new(member.as_str()).ok()).ok_or(Failure::MatchNotFound)?;
        self.access.check_unlocked((match_id, user), &known).await?;
        let by = Actor { user, device: &request.device };
        for _ in 0..MAX_ATTEMPTS {
            let Snapshot { now_ms, found } = self.calls.of_users([user, &callee]).await?;
            if self.end_lapsed(&found, now_ms).await? {
                continue;
            }
            match call::ring(match_id, by, found.iter().map(|stored| &stored.call)) {
                Ringing::Repeats(call) => return Ok(*call),
                Ringing::Busy { call_id, elsewhere } => return Err(Failure::Busy { call_id, elsewhere }),
                Ringing::BusyInAnotherMatch => return Err(self.busy(request).await?),
                Ringing::Starts => {}
            }
            let ids = (new_call_id()?, match_id.clone());
            let media = media.map(str::to_owned);
            let call = Call::ringing(ids, by, callee.clone(), media, (&self.timing, now_ms));
            match self.calls.create(&call, now_ms).await? {
                Created::Done => {
                    self.metrics.call_started();
                    self.announce(&call).await;
                    return Ok(call);
                }
                Created::Limited(wait) => return Err(Failure::RateLimited(wait)),
                Created::Taken => {}
            }
        }
        Err(contended())
    }

    /// A ring that meets somebody who is busy is counted: otherwise it could be repeated to watch when that call ends.
    async fn busy(&self, request: &Request) -> Result<Failure, Failure> {
        let wait = self.calls.count_ring(&request.user, &request.match_id).await?;
        Ok(wait.map_or(Failure::BusyInAnotherMatch, Failure::RateLimited))
    }

    /// Whether a call's time was over, which is then stored, by whomever.
    async fn end_lapsed(&self, calls: &[Stored], now_ms: i64) -> Result<bool, Failure> {
        for stored in calls {
            if let Some(ended) = stored.call.lapsed(now_ms) {
                self.change(stored, &ended, now_ms).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn command(&self, request: &Request, command: &Command) -> Result<Call, Failure> {
        match command {
            Command::Accept { .. } => self.refuse_closed(request).await?,
            // Gateways send it by themselves, for a call that they were told of.
            Command::Renew => {}
            _ => self.access.check_member(&request.match_id, &request.user).await?,
        }
        let actor = Actor { user: &request.user, device: &request.device };
        for _ in 0..MAX_ATTEMPTS {
            let Snapshot { now_ms, found } = self.find(request).await?;
            let Some(stored) = found else {
                return Err(self.why_missing(request, command).await);
            };
            if self.end_lapsed(std::slice::from_ref(&stored), now_ms).await? {
                continue;
            }
            match stored.call.decide(actor, command, &self.timing, now_ms) {
                Ok(None) => return Ok(stored.call),
                Ok(Some(next)) => {
                    if self.change(&stored, &next, now_ms).await? {
                        return Ok(next);
                    }
                }
                Err(Refusal::NotFound) => return Err(self.why_missing(request, command).await),
                Err(Refusal::StateConflict) => return Err(Failure::StateConflict),
            }
        }
        Err(contended())
    }

    async fn find(&self, request: &Request) -> Result<Snapshot<Option<Stored>>, Failure> {
        let Snapshot { now_ms, found } = match &request.call_id {
            Some(id) => self.calls.by_id(id).await?,
            None => self.calls.of_match(&request.match_id).await?,
        };
        // A call of another match, or of other people, is as good as none.
        let own = |call: &Call| call.match_id == request.match_id && call.involves(&request.user);
        Ok(Snapshot { now_ms, found: found.filter(|stored| own(&stored.call)) })
    }

    /// A call of a match that was closed a moment ago must not be accepted any more.
    async fn refuse_closed(&self, request: &Request) -> Result<(), Failure> {
        let refused = self.access.open_match(&request.match_id, &request.user).await.map(|_| ());
        if refused == Err(Failure::MatchClosed) {
            self.close(&request.match_id, |_| true).await?;
        }
        refused
    }

    /// Members learn that there is no such call or that the match is closed, others that there is no such match.
    async fn why_missing(&self, request: &Request, command: &Command) -> Failure {
        // Gateways send it by themselves and want no more than to know that the call is over.
        if matches!(command, Command::Renew | Command::TakeOver { .. }) {
            return Failure::CallNotFound;
        }
        match self.access.open_match(&request.match_id, &request.user).await {
            Ok(_) => Failure::CallNotFound,
            Err(failure) => failure,
        }
    }

    /// Stores a change and announces it, unless somebody was faster: then false.
    async fn change(&self, former: &Stored, next: &Call, now_ms: i64) -> Result<bool, Failure> {
        if !self.calls.replace(former, &next.kept(), now_ms).await? {
            self.metrics.change_lost();
            return Ok(false);
        }
        if next.version != former.call.version {
            if let State::Ended(end) = &next.state {
                tracing::info!(call_id = %next.id, match_id = %next.match_id, reason = end.reason.as_str(), "call ended");
                self.metrics.call_ended(end.reason);
            }
            self.announce(next).await;
        } else if next.repeats != former.call.repeats {
            self.announce(next).await;
        }
        Ok(true)
    }
}

fn new_call_id() -> Result<CallId, Failure> {
    CallId::new(Uuid::now_v7().to_string()).map_err(|error| Failure::Unavailable(error.to_string()))
}

fn contended() -> Failure {
    Failure::Unavailable("too many changes of one call at the same time".to_owned())
}
