//! A user's device as its gateway plays it: asks, and hears what is meant for it, each change once.

use std::time::Duration;

use proto::{
    MatchId, UserId,
    inbox::{CallChanged, CallEvent, SignalTaken, call_changed::Change, call_event::Event},
    signaling::{
        Call, CallCode, CallFailure, CallReply, CallRequest,
        call_reply::Reply,
        call_request::{Accept, Command, End, Reject, Renew, Ring, Signal, TakeOver},
    },
};
use service_kit::{
    bus::{Bus, Slots},
    clock,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, Stack};

/// Long enough for an event that should not come.
const SILENCE: Duration = Duration::from_millis(400);

/// One device of a user, in one match.
pub(crate) struct Party {
    bus: Bus,
    match_id: MatchId,
    user: UserId,
    device: String,
    inbox: mpsc::Receiver<CallEvent>,
    /// The highest version heard.
    seen: i64,
    /// Ends the subscription when the party is dropped.
    _connected: DropGuard,
}

impl Stack {
    /// A device that hears everything from now on.
    pub(crate) async fn party(&self, id: &str, user: &str, device: &str) -> Party {
        let (match_id, user) = (MatchId::new(self.own(id)).unwrap(), UserId::new(self.own(user)).unwrap());
        let (heard, inbox) = mpsc::channel(1_000);
        let connected = CancellationToken::new();
        let device = device.to_owned();
        let (subject, group) = (self.bus.subjects().relay(&user), uuid::Uuid::now_v7().to_string());
        let (own_device, until) = (device.clone(), connected.clone());
        let answer = move |event| {
            let is_taken = is_signal_to(&own_device, &event);
            heard.try_send(event).unwrap();
            async move { is_taken.then_some(SignalTaken {}) }
        };
        let bounds = (&Slots::new(100), until);
        let handlers = (answer, (|_| unreachable!("a party has room for all that it hears")) as fn(&_) -> _);
        self.bus.serve_until((&subject, &group), bounds, &self.lifecycle, handlers).await.unwrap();
        self.bus.flush().await.unwrap();
        Party { bus: self.bus.clone(), match_id, user, device, inbox, seen: 0, _connected: connected.drop_guard() }
    }
}

/// Whether it is a signal that this device takes.
fn is_signal_to(device: &str, event: &CallEvent) -> bool {
    let Some(Event::CallChanged(changed)) = &event.event else { return false };
    matches!(changed.change, Some(Change::Signaled(_))) && changed.only_device.as_deref() == Some(device)
}

impl Party {
    pub(crate) fn user(&self) -> &str {
        self.user.as_str()
    }

    pub(crate) async fn ask(&self, call_id: Option<&str>, command: Command) -> Result<Call, CallFailure> {
        let request = CallRequest {
            match_id: self.match_id.to_string(),
            user_id: self.user.to_string(),
            device: self.device.clone(),
            call_id: call_id.map(str::to_owned),
            command: Some(command),
            deadline_ms: clock::unix_ms() + 5_000,
        };
        let subject = self.bus.subjects().call(&self.match_id);
        let reply: CallReply = self.bus.request(&subject, &request, PATIENCE).await.unwrap();
        match reply.reply.unwrap() {
            Reply::Call(call) => Ok(call),
            Reply::Failure(failure) => Err(failure),
        }
    }

    pub(crate) async fn ring(&self) -> Result<Call, CallFailure> {
        self.ring_with(r#"{"video":true}"#).await
    }

    pub(crate) async fn ring_with(&self, media: &str) -> Result<Call, CallFailure> {
        self.ask(None, Command::Ring(Ring { media: Some(media.to_owned()) })).await
    }

    pub(crate) async fn accept(&self) -> Result<Call, CallFailure> {
        self.ask(None, Command::Accept(Accept { signal: Some("\"answer\"".to_owned()) })).await
    }

    pub(crate) async fn reject(&self) -> Result<Call, CallFailure> {
        self.ask(None, Command::Reject(Reject::default())).await
    }

    pub(crate) async fn end(&self) -> Result<Call, CallFailure> {
        self.ask(None, Command::End(End::default())).await
    }

    pub(crate) async fn signal(&self, payload: &str) -> Result<Call, CallFailure> {
        self.ask(None, Command::Signal(Signal { payload: payload.to_owned() })).await
    }

    pub(crate) async fn renew(&self) -> Result<Call, CallFailure> {
        self.ask(None, Command::Renew(Renew {})).await
    }

    pub(crate) async fn take_over(&self, earlier: &Self) -> Result<Call, CallFailure> {
        self.ask(None, Command::TakeOver(TakeOver { earlier_device: earlier.device.clone() })).await
    }

    /// The next change that is meant for this device and that it has not heard yet.
    pub(crate) async fn hears(&mut self) -> Change {
        let next = async {
            loop {
                let event = self.inbox.recv().await.unwrap();
                if let Some(change) = self.take(event) {
                    return change;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a change of the call in time")
    }

    /// The reason for which the call has ended, which must be the next thing that this device hears.
    pub(crate) async fn hears_end(&mut self) -> String {
        match self.hears().await {
            Change::Ended(ended) => ended.reason,
            other => panic!("{}: {other:?}", self.device),
        }
    }

    /// Waits a moment, in which nothing new may come.
    pub(crate) async fn hears_nothing(&mut self) {
        let until = Instant::now() + SILENCE;
        while let Ok(Some(event)) = timeout_at(until, self.inbox.recv()).await {
            let change = self.take(event);
            assert_eq!(change, None, "{}", self.device);
        }
    }

    /// What comes within `window`, repeats included: versions only.
    pub(crate) async fn versions_within(&mut self, window: Duration) -> Vec<i64> {
        let until = Instant::now() + window;
        let mut versions = Vec::new();
        while let Ok(Some(event)) = timeout_at(until, self.inbox.recv()).await {
            let Some(Event::CallChanged(change)) = event.event else { continue };
            versions.push(change.version);
        }
        versions
    }

    /// As a gateway does: what is for others or was heard before is dropped.
    fn take(&mut self, event: CallEvent) -> Option<Change> {
        let Some(Event::CallChanged(CallChanged { version, change, only_device, except_device, .. })) = event.event
        else {
            return None;
        };
        let mine = only_device.is_none_or(|only| only == self.device) && except_device.as_ref() != Some(&self.device);
        let new = version == 0 || version > self.seen;
        self.seen = self.seen.max(version);
        change.filter(|_| mine && new)
    }
}

/// The code of a refusal.
pub(crate) fn code(outcome: Result<Call, CallFailure>) -> CallCode {
    outcome.expect_err("a refusal").code()
}
