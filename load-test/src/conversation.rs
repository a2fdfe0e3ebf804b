//! One user's side of its chat, without any IO: frames and the time go in, frames come out, what happens is noted and
//! counted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use promises::{Chat, Entry, Event, Known, Route, Rules};
use proto::{Code, client::event};

use crate::{
    arrivals::Arrivals,
    identity::{Pair, Side, Tag},
    inbox::{Inbox, Incoming},
    message::{self, Ack, Received, Refusal},
    outbox::{Outbox, Step},
    run::Run,
    stats::{Span, lock},
    transport::packet::{Packet, first_argument},
};

mod joining;

/// The load test cannot tell which milestones there are, and counts what is never answered apart. Thousands of matches
/// are remembered at a time.
const RULES: Rules = Rules { milestones: &[], told_once: false, all_answered: false, remembered: 24 };

/// Checks a match of a pair.
pub fn chat(match_id: &str) -> Chat {
    Chat::new(match_id.to_owned(), Side::BOTH.map(|side| side as u8).to_vec(), RULES)
}

/// Why a conversation ends on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection is gone or useless: connect again.
    Closed,
    /// The server refuses the user for good.
    Refused,
}

/// Whether the chat is open.
#[derive(Debug, Clone, Copy)]
enum Join {
    /// A join is asked for.
    Asked { since: Option<u32>, deadline: Duration },
    /// A join was refused and is asked for again.
    Paused { since: Option<u32>, until: Duration },
    /// All that was missed is read.
    Joined,
}

#[derive(Debug, Clone, Copy)]
enum Awaited {
    Join { known: Known },
    Send { index: u32, emitted: Duration },
}

/// One user in its chat, over all of its connections.
pub struct Conversation {
    run: Arc<Run>,
    pair: Arc<Pair>,
    side: Side,
    chat: Arc<Mutex<Chat>>,
    outbox: Outbox,
    inbox: Inbox,
    join: Join,
    awaited: Vec<(u64, Awaited)>,
    next_ack_id: u64,
    frames: VecDeque<String>,
    measured_from: Duration,
    joined_before: bool,
    /// The connection has opened the chat.
    has_begun: bool,
}

impl Conversation {
    /// The member `side` of `pair`, not connected yet.
    pub fn new(run: Arc<Run>, pair: Arc<Pair>, side: Side, chat: Arc<Mutex<Chat>>) -> Self {
        Self {
            outbox: Outbox::new(run.rules),
            run,
            pair,
            side,
            chat,
            inbox: Inbox::default(),
            join: Join::Joined,
            awaited: Vec::new(),
            next_ack_id: 0,
            frames: VecDeque::new(),
            measured_from: Duration::MAX,
            joined_before: false,
            has_begun: false,
        }
    }

    /// A connection is open: joins the chat, from where the last connection left off.
    pub fn connected(&mut self, now: Duration) {
        self.run.stats.counters.connects.count();
        self.has_begun = false;
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
                self.received(&received.incoming(&self.run.name, &self.pair), now);
            }
            Packet::Event { name: event::MILESTONE_REACHED, .. } => self.run.stats.counters.milestones.count(),
            Packet::Ack { id, arguments } => return self.acked(id, arguments, now),
            Packet::Close | Packet::Disconnected | Packet::Refused(_) => return Err(End::Closed),
            Packet::Open(_) | Packet::Connected(_) | Packet::Event { .. } | Packet::Other => {}
        }
        Ok(())
    }

    fn received(&mut self, incoming: &Incoming, now: Duration) {
        self.note(now, Event::Received { tag: incoming.tag(), seq: incoming.seq });
        if let Some(incoming) = self.inbox.live(*incoming) {
            self.run.stats.counters.received_live.add(u64::from(incoming.from_other(self.side).is_some()));
            self.measure_receipt(&incoming, now);
            if self.run.reading {
                self.frames.push_back(message::mark_read(&self.pair.match_id, incoming.seq));
            }
        }
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
                    self.note(now, Event::Emitted { tag: self.own(tag.index), route: Route::Socket });
                    let ack_id = self.await_ack(Awaited::Send { index: tag.index, emitted: now });
                    let client_id = tag.client_id(&self.run.name);
                    let frame = message::send_message(ack_id, &self.pair.match_id, &self.run.body, &client_id);
                    self.frames.push_back(frame);
                }
            }
        }
    }

    fn acked(&mut self, id: u64, arguments: &str, now: Duration) -> Result<(), End> {
        let Some(at) = self.awaited.iter().position(|(ack_id, _)| *ack_id == id) else { return Ok(()) };
        let awaited = self.awaited.swap_remove(at).1;
        let ack = first_argument(arguments).map_err(|_| End::Closed)?;
        match awaited {
            Awaited::Join { known } => return self.join_acked(&ack, known, now),
            Awaited::Send { index, emitted } => self.send_acked(index, emitted, &ack, now),
        }
        Ok(())
    }

    /// A message without an ack stays open for the checker: whatever became of it, somebody may still be given it.
    fn send_acked(&mut self, index: u32, emitted: Duration, ack: &Ack<Received<'_>>, now: Duration) {
        if let Some(refusal) = &ack.error {
            self.count_refusal(refusal);
            if refusal.retryable {
                self.outbox.retry(index, now, refusal.pause());
            } else if self.outbox.settle(index).is_some() {
                self.run.stats.counters.refused.count();
            }
            return;
        }
        self.run.stats.counters.duplicates.add(u64::from(ack.duplicate));
        self.note(now, Event::Acked { tag: self.own(index), seq: ack.seq, duplicate: ack.duplicate });
        // An ack after another one says nothing new but its seq, and that must be the same.
        let Some(Tag { intended, .. }) = self.outbox.settle(index) else { return };
        self.note(now, Event::Settled { index });
        self.run.stats.counters.acked.count();
        self.measure(Span::Ack, intended, now, intended);
        self.measure(Span::Service, emitted, now, intended);
    }

    fn count_refusal(&self, refusal: &Refusal) {
        let stats = &self.run.stats;
        stats.count_code(&refusal.code);
        if refusal.code == Code::RateLimited.as_str() {
            stats.counters.rate_limited.count();
        } else if refusal.retryable {
            stats.counters.retryable_errors.count();
        }
    }

    fn measure_receipt(&self, incoming: &Incoming, now: Duration) {
        if let Some(tag) = incoming.from_other(self.side) {
            self.measure(Span::Receive, tag.intended, now, tag.intended);
        }
    }

    fn measure(&self, span: Span, from: Duration, now: Duration, intended: Duration) {
        if intended >= self.measured_from {
            self.run.stats.record(span, now.saturating_sub(from));
        }
    }

    fn await_ack(&mut self, awaited: Awaited) -> u64 {
        let id = self.next_ack_id;
        self.next_ack_id += 1;
        self.awaited.push((id, awaited));
        id
    }

    fn own(&self, index: u32) -> promises::Tag {
        promises::Tag { slot: self.side as u8, index, variant: 0 }
    }

    fn note(&self, now: Duration, event: Event) {
        let at_ms = u32::try_from(now.as_millis()).unwrap_or(u32::MAX);
        lock(&self.chat).observe(Entry { at_ms, slot: self.side as u8, event });
    }
}

#[cfg(test)]
mod tests;
