//! One user's side of its chat, without any IO: frames and the time go in, frames come out, facts go to ledger and stats.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use proto::{Code, client::event};

use crate::{
    arrivals::Arrivals,
    identity::{Pair, Side},
    inbox::{Inbox, Incoming},
    ledger::Ledger,
    message::{self, JoinAck, Received, Refusal, SendAck},
    outbox::{Outbox, Step},
    run::Run,
    stats::{Span, lock},
    transport::packet::{Packet, first_argument},
};

/// How long the ack of `join_chat` may take.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a refused join is repeated, unless the server names one.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

/// Why a conversation ends on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection is gone or useless: connect again.
    Closed,
    /// The server refuses the user for good.
    Refused,
}

#[derive(Debug, Clone, Copy)]
enum Join {
    Asked { since: Option<u64>, deadline: Duration },
    Paused { since: Option<u64>, until: Duration },
    Joined,
}

#[derive(Debug, Clone, Copy)]
enum Awaited {
    Join,
    Send { index: u32, emitted: Duration },
}

/// One user in its chat, over all of its connections.
pub struct Conversation {
    run: Arc<Run>,
    pair: Arc<Pair>,
    side: Side,
    ledger: Arc<Mutex<Ledger>>,
    outbox: Outbox,
    inbox: Inbox,
    join: Join,
    awaited: Vec<(u64, Awaited)>,
    next_ack_id: u64,
    frames: VecDeque<String>,
    measured_from: Duration,
    joined_before: bool,
}

impl Conversation {
    /// The member `side` of `pair`, not connected yet.
    pub fn new(run: Arc<Run>, pair: Arc<Pair>, side: Side, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self {
            outbox: Outbox::new(run.rules),
            run,
            pair,
            side,
            ledger,
            inbox: Inbox::default(),
            join: Join::Joined,
            awaited: Vec::new(),
            next_ack_id: 0,
            frames: VecDeque::new(),
            measured_from: Duration::MAX,
            joined_before: false,
        }
    }

    /// A connection is open: joins the chat, from where the last connection left off.
    pub fn connected(&mut self, now: Duration) {
        self.run.stats.counters.connects.count();
        let since = self.inbox.connected();
        self.ask_to_join(since, now);
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.awaited.clear();
        self.frames.clear();
        self.outbox.disconnected();
    }

    /// Begins to send; latencies count for what is intended at or after `measured_from`.
    pub fn start(&mut self, arrivals: Arrivals, measured_from: Duration) {
        self.measured_from = measured_from;
        self.outbox.start(arrivals);
    }

    /// Sends nothing new any more.
    pub fn stop(&mut self, now: Duration) {
        self.run.stats.counters.unsent.add(self.outbox.stop(now));
        self.run.stats.counters.stopped_users.count();
    }

    /// Does what is due.
    ///
    /// # Errors
    /// If the connection is useless.
    pub fn advance(&mut self, now: Duration) -> Result<(), End> {
        match self.join {
            Join::Asked { deadline, .. } if deadline <= now => Err(End::Closed),
            Join::Paused { since, until } if until <= now => {
                self.ask_to_join(since, now);
                Ok(())
            }
            Join::Joined => {
                self.send_due(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// When [`Conversation::advance`] may have something to do besides sending what is new.
    pub fn wake_at(&self) -> Option<Duration> {
        match self.join {
            Join::Asked { deadline, .. } => Some(deadline),
            Join::Paused { until, .. } => Some(until),
            Join::Joined => self.outbox.repeat_at(),
        }
    }

    /// When the next new message is to be sent, if nothing stands in its way.
    pub fn send_at(&self) -> Option<Duration> {
        self.outbox.send_at().filter(|_| matches!(self.join, Join::Joined))
    }

    /// The next frame to write.
    pub fn next_frame(&mut self) -> Option<String> {
        self.frames.pop_front()
    }

    /// Takes a frame of the server.
    ///
    /// # Errors
    /// If it ends the conversation on this connection.
    pub fn handle(&mut self, text: &str, now: Duration) -> Result<(), End> {
        match Packet::parse(text).map_err(|_| End::Closed)? {
            Packet::Ping => self.frames.push_back("3".to_owned()),
            Packet::Event { name: event::RECEIVE_MESSAGE, arguments } => {
                let received: Received<'_> = first_argument(arguments).map_err(|_| End::Closed)?;
                let incoming = received.incoming(&self.run.name, self.pair.user(self.side));
                if let Some(incoming) = self.inbox.live(incoming) {
                    self.run.stats.counters.received_live.add(u64::from(!incoming.own));
                    self.deliver(&incoming, now);
                }
            }
            Packet::Event { name: event::MILESTONE_REACHED, .. } => self.run.stats.counters.milestones.count(),
            Packet::Ack { id, arguments } => return self.acked(id, arguments, now),
            Packet::Close | Packet::Disconnected | Packet::Refused(_) => return Err(End::Closed),
            Packet::Open(_) | Packet::Connected(_) | Packet::Event { .. } | Packet::Other => {}
        }
        Ok(())
    }

    fn send_due(&mut self, now: Duration) {
        while let Some(step) = self.outbox.poll(now) {
            let counters = &self.run.stats.counters;
            match step {
                Step::TimedOut => counters.ack_timeouts.count(),
                Step::GaveUp => counters.given_up.count(),
                Step::Emit { tag, attempt } => {
                    if attempt == 1 {
                        counters.sent.count();
                        self.measure(Span::Schedule, tag.intended, now, tag.intended);
                    } else {
                        counters.resent.count();
                    }
                    let ack_id = self.await_ack(Awaited::Send { index: tag.index, emitted: now });
                    let client_id = tag.client_id(&self.run.name);
                    self.frames.push_back(message::send_message(
                        ack_id,
                        &self.pair.match_id,
                        &self.run.body,
                        &client_id,
                    ));
                }
            }
        }
    }

    fn acked(&mut self, id: u64, arguments: &str, now: Duration) -> Result<(), End> {
        let Some(at) = self.awaited.iter().position(|(ack_id, _)| *ack_id == id) else { return Ok(()) };
        match self.awaited.swap_remove(at).1 {
            Awaited::Join => {
                let ack = first_argument(arguments).map_err(|_| End::Closed)?;
                self.join_acked(&ack, now)
            }
            Awaited::Send { index, emitted } => {
                let ack = first_argument(arguments).map_err(|_| End::Closed)?;
                self.send_acked(index, emitted, &ack, now);
                Ok(())
            }
        }
    }

    fn join_acked(&mut self, ack: &JoinAck<'_>, now: Duration) -> Result<(), End> {
        if let Some(refusal) = &ack.error {
            let Join::Asked { since, .. } = self.join else { return Ok(()) };
            self.count_refusal(refusal);
            if !refusal.retryable {
                return Err(End::Refused);
            }
            self.join = Join::Paused { since, until: now + refusal.pause().unwrap_or(JOIN_PAUSE) };
            return Ok(());
        }
        if !self.joined_before {
            self.joined_before = true;
            self.ledger().starts_after(ack.last_seq);
            self.run.stats.counters.joined_users.count();
        }
        let page = ack.page(&self.run.name, self.pair.user(self.side));
        let (delivered, next) = self.inbox.page(page);
        for incoming in delivered.iter().filter(|incoming| !incoming.own) {
            self.run.stats.counters.received_caught_up.count();
            self.deliver(incoming, now);
        }
        match next {
            Some(since) => self.ask_to_join(Some(since), now),
            None => self.join = Join::Joined,
        }
        Ok(())
    }

    fn send_acked(&mut self, index: u32, emitted: Duration, ack: &SendAck<'_>, now: Duration) {
        if let Some(refusal) = &ack.error {
            self.count_refusal(refusal);
            if refusal.retryable {
                self.outbox.retry(index, now, refusal.pause());
            } else if self.outbox.settle(index).is_some() {
                self.run.stats.counters.refused.count();
            }
            return;
        }
        let Some(seq) = ack.seq else { return };
        self.run.stats.counters.duplicates.add(u64::from(ack.duplicate));
        let settled = self.outbox.settle(index);
        // An ack after another one says nothing new but its seq, and that must be the same.
        let attempts = settled.map_or(u32::MAX, |settled| settled.attempts);
        self.ledger().acked(self.side, index, seq, attempts);
        if let Some(settled) = settled {
            self.run.stats.counters.acked.count();
            let intended = settled.tag.intended;
            self.measure(Span::Ack, intended, now, intended);
            self.measure(Span::Service, emitted, now, intended);
        }
    }

    fn count_refusal(&self, refusal: &Refusal<'_>) {
        let stats = &self.run.stats;
        stats.count_code(&refusal.code);
        if refusal.code == Code::RateLimited.as_str() {
            stats.counters.rate_limited.count();
        } else if refusal.retryable {
            stats.counters.retryable_errors.count();
        }
    }

    fn deliver(&self, incoming: &Incoming, now: Duration) {
        match incoming.tag {
            Some(_) if incoming.own => self.ledger().own_delivered(self.side, incoming.seq),
            Some(tag) => {
                self.ledger().delivered(self.side.other(), tag.index, incoming.seq);
                self.measure(Span::Receive, tag.intended, now, tag.intended);
            }
            None => self.ledger().unknown(incoming.seq),
        }
    }

    fn measure(&self, span: Span, from: Duration, now: Duration, intended: Duration) {
        if intended >= self.measured_from {
            self.run.stats.record(span, now.saturating_sub(from));
        }
    }

    fn ask_to_join(&mut self, since: Option<u64>, now: Duration) {
        let ack_id = self.await_ack(Awaited::Join);
        self.frames.push_back(message::join_chat(ack_id, &self.pair.match_id, since));
        self.join = Join::Asked { since, deadline: now + JOIN_LIMIT };
    }

    fn await_ack(&mut self, awaited: Awaited) -> u64 {
        let id = self.next_ack_id;
        self.next_ack_id += 1;
        self.awaited.push((id, awaited));
        id
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

#[cfg(test)]
mod tests;
