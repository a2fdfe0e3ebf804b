//! What one user sends, and when again: the client contract's `sendReliably`, open loop. Pure: time goes in, steps come
//! out.

use std::{collections::VecDeque, time::Duration};

use crate::{arrivals::Arrivals, identity::Tag};

/// The first pause before a repeat; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a repeat that the server did not ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How a user sends reliably.
#[derive(Debug, Clone, Copy)]
pub struct SendRules {
    /// How many messages may wait for their ack at a time. With 1 the intended order survives any repeat.
    pub window: usize,
    /// How often a message is emitted at most, the first time included.
    pub attempts: u32,
    /// How long an ack may take until the message is emitted again.
    pub ack_timeout: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Emit this message: for the first time if `attempt` is 1.
    Emit {
        /// Which message.
        tag: Tag,
        /// Counts from 1.
        attempt: u32,
    },
    /// An ack was too late; the message will be emitted again.
    TimedOut,
    /// The attempts are spent: nobody knows whether the message was stored.
    GaveUp,
}

#[derive(Debug)]
struct Unsettled {
    tag: Tag,
    attempts: u32,
    /// When it was emitted last; none while it waits to be again.
    in_flight_since: Option<Duration>,
}

/// The messages of one user: those still to come, and those not yet settled (at most a window of them).
#[derive(Debug)]
pub struct Outbox {
    rules: SendRules,
    arrivals: Option<Arrivals>,
    next: Option<Tag>,
    unsettled: VecDeque<Unsettled>,
    paused_until: Duration,
}

impl Outbox {
    /// An outbox that has nothing to send yet.
    pub fn new(rules: SendRules) -> Self {
        Self { rules, arrivals: None, next: None, unsettled: VecDeque::new(), paused_until: Duration::ZERO }
    }

    /// Begins to send at the times of `arrivals`.
    pub fn start(&mut self, mut arrivals: Arrivals) {
        self.next = arrivals.next().map(|at| tag(0, at));
        self.arrivals = Some(arrivals);
    }

    /// Sends nothing new any more. Returns how many messages were due before `now` and never emitted.
    pub fn stop(&mut self, now: Duration) -> u64 {
        let first = self.next.take().filter(|next| next.intended <= now);
        let rest = self.arrivals.take().into_iter().flatten().take_while(|at| *at <= now).count();
        if first.is_some() { 1 + rest as u64 } else { 0 }
    }

    /// The next thing to do at `now`, if any; to be asked again until there is none.
    pub fn poll(&mut self, now: Duration) -> Option<Step> {
        if let Some(step) = self.expire(now) {
            return Some(step);
        }
        if let Some(message) = self.unsettled.iter_mut().find(|message| message.in_flight_since.is_none()) {
            if now < self.paused_until {
                return None;
            }
            message.attempts += 1;
            message.in_flight_since = Some(now);
            return Some(Step::Emit { tag: message.tag, attempt: message.attempts });
        }
        let tag = self.next.filter(|next| next.intended <= now && self.unsettled.len() < self.rules.window)?;
        self.next = self.arrivals.as_mut().and_then(Iterator::next).map(|at| self::tag(tag.index + 1, at));
        self.unsettled.push_back(Unsettled { tag, attempts: 1, in_flight_since: Some(now) });
        Some(Step::Emit { tag, attempt: 1 })
    }

    /// When [`Outbox::poll`] may have to repeat or give up something, if nothing else happens.
    pub fn repeat_at(&self) -> Option<Duration> {
        let ack_timeout = self.rules.ack_timeout;
        let times = self.unsettled.iter().map(|message| message.in_flight_since.map(|since| since + ack_timeout));
        times.map(|ack_due| ack_due.unwrap_or(self.paused_until)).min()
    }

    /// When [`Outbox::poll`] has something new to send, if the window has room for it.
    pub fn send_at(&self) -> Option<Duration> {
        self.next.filter(|_| self.unsettled.len() < self.rules.window).map(|next| next.intended)
    }

    /// The message was acked, or refused for good. None if that was known already.
    pub fn settle(&mut self, index: u32) -> Option<Tag> {
        let at = self.position(index)?;
        self.unsettled.remove(at).map(|message| message.tag)
    }

    /// The message was refused with a retryable error: it is emitted again, after `pause` if the server named one. All
    /// that comes later waits with it, so that the order is kept.
    pub fn retry(&mut self, index: u32, now: Duration, pause: Option<Duration>) {
        let Some(at) = self.position(index) else { return };
        let message = &mut self.unsettled[at];
        message.in_flight_since = None;
        let own = FIRST_PAUSE.saturating_mul(1 << message.attempts.saturating_sub(1).min(8)).min(LONGEST_PAUSE);
        self.paused_until = self.paused_until.max(now + pause.unwrap_or(own));
    }

    /// The connection is gone: what was in flight on it is to be emitted again on the next.
    pub fn disconnected(&mut self) {
        for message in &mut self.unsettled {
            message.in_flight_since = None;
        }
    }

    fn position(&self, index: u32) -> Option<usize> {
        self.unsettled.iter().position(|message| message.tag.index == index)
    }

    /// Finds a message whose ack is overdue, or whose attempts are spent.
    fn expire(&mut self, now: Duration) -> Option<Step> {
        let SendRules { attempts, ack_timeout, .. } = self.rules;
        let is_overdue = |since: Duration| since + ack_timeout <= now;
        let spent = self
            .unsettled
            .iter()
            .position(|message| message.attempts >= attempts && message.in_flight_since.is_none_or(is_overdue));
        if let Some(at) = spent {
            self.unsettled.remove(at);
            return Some(Step::GaveUp);
        }
        let message = self.unsettled.iter_mut().find(|message| message.in_flight_since.is_some_and(is_overdue))?;
        message.in_flight_since = None;
        Some(Step::TimedOut)
    }
}

/// Whole microseconds, as the clientId keeps them.
fn tag(index: u32, at: Duration) -> Tag {
    Tag { index, intended: Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests;
