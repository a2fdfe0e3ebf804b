//! The check of one match: every acked message reached the other member once and in order, and seqs are gapless. Pure.

use serde::Serialize;

use crate::identity::Side;

/// How many violations of one match are kept word for word; more are only counted.
const KEPT: usize = 8;

/// A promise that was not kept. `index` counts the messages of `sender`, `seq` is the place in the match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Violation {
    /// An acked message never reached the other member.
    Lost {
        /// Who sent it.
        sender: Side,
        /// Which of the sender's messages.
        index: u32,
        /// The seq in the ack.
        seq: u64,
    },
    /// A message reached the other member more than once.
    DeliveredTwice {
        /// Who sent it.
        sender: Side,
        /// Which of the sender's messages.
        index: u32,
        /// The seq of the repeat.
        seq: u64,
    },
    /// A message reached a member after a later one.
    DeliveredOutOfOrder {
        /// Who sent it.
        sender: Side,
        /// The seq of the late message.
        seq: u64,
        /// The seq that had been delivered before it.
        after: u64,
    },
    /// A member was told its own message as if it were the other's.
    OwnMessageDelivered {
        /// Whose message.
        sender: Side,
        /// Its seq.
        seq: u64,
    },
    /// A message that nobody of this run sent.
    UnknownMessage {
        /// Its seq.
        seq: u64,
    },
    /// One message has two seqs: in two acks, or in its ack and its delivery.
    SeqChanged {
        /// Who sent it.
        sender: Side,
        /// Which of the sender's messages.
        index: u32,
        /// The seq told first.
        first: u64,
        /// The seq told then.
        then: u64,
    },
    /// One seq names two messages.
    SeqReused {
        /// The seq.
        seq: u64,
    },
    /// A seq that no message has, below one that a message has.
    SeqMissing {
        /// The first such seq of a hole.
        seq: u64,
    },
    /// A message has a lower seq than one that the same member had sent before it.
    StoredOutOfOrder {
        /// Who sent it.
        sender: Side,
        /// Which of the sender's messages.
        index: u32,
        /// Its seq.
        seq: u64,
        /// The seq of a message sent earlier.
        after: u64,
    },
}

/// What is known of one member's messages. Seqs are relative to the ledger's base, 0 is unknown.
#[derive(Debug, Default)]
struct Sent {
    acked: Vec<u32>,
    delivered: Vec<u32>,
    acked_count: usize,
    acked_and_delivered: usize,
    /// The last seq at which the other member got a message.
    last_delivered: u32,
    /// Messages that were emitted more than once.
    repeated: Vec<u32>,
}

/// All that both members of one match learned about its messages.
#[derive(Debug, Default)]
pub struct Ledger {
    base: u64,
    strict_order: bool,
    sent: [Sent; 2],
    violations: Vec<Violation>,
    violation_count: usize,
}

impl Ledger {
    /// A match that is empty. With `strict_order` each member has one message in flight at a time, so that the
    /// intended order holds through repeats; without it, repeated messages are exempt from the check of order.
    pub fn new(strict_order: bool) -> Self {
        Self { strict_order, ..Self::default() }
    }

    /// The match had `base` messages before the run.
    pub fn starts_after(&mut self, base: u64) {
        self.base = base;
    }

    /// `sender` got an ack for its message `index`, which it had emitted `attempts` times.
    pub fn acked(&mut self, sender: Side, index: u32, seq: u64, attempts: u32) {
        let Some(relative) = self.relative(seq) else { return };
        let sent = &mut self.sent[sender as usize];
        let known = slot(&mut sent.acked, index);
        let (first, is_new) = (*known, *known == 0);
        if is_new {
            *known = relative;
            sent.acked_count += 1;
            if attempts > 1 {
                sent.repeated.push(index);
            }
            let delivered = sent.delivered.get(index as usize).copied().unwrap_or(0);
            if delivered != 0 {
                sent.acked_and_delivered += 1;
            }
            self.same_seq((sender, index), delivered, relative);
        } else {
            self.same_seq((sender, index), first, relative);
        }
    }

    /// The other member of `sender` got the message `index`.
    pub fn delivered(&mut self, sender: Side, index: u32, seq: u64) {
        let Some(relative) = self.relative(seq) else { return };
        let base = self.base;
        let sent = &mut self.sent[sender as usize];
        let last = sent.last_delivered;
        sent.last_delivered = last.max(relative);
        let known = slot(&mut sent.delivered, index);
        if *known != 0 {
            self.violated(Violation::DeliveredTwice { sender, index, seq });
            return;
        }
        *known = relative;
        let acked = sent.acked.get(index as usize).copied().unwrap_or(0);
        if acked != 0 {
            sent.acked_and_delivered += 1;
        }
        if relative <= last {
            self.violated(Violation::DeliveredOutOfOrder { sender, seq, after: base + u64::from(last) });
        }
        self.same_seq((sender, index), acked, relative);
    }

    /// A member was told its own message live.
    pub fn own_delivered(&mut self, sender: Side, seq: u64) {
        self.violated(Violation::OwnMessageDelivered { sender, seq });
    }

    /// A message came that is not of this run.
    pub fn unknown(&mut self, seq: u64) {
        self.violated(Violation::UnknownMessage { seq });
    }

    /// How many acked messages have not reached the other member yet.
    pub fn undelivered(&self) -> usize {
        self.sent.iter().map(|sent| sent.acked_count - sent.acked_and_delivered).sum()
    }

    /// Judges the whole: no message may come after this. Returns what was violated (the first few of each match) and how
    /// often anything was.
    pub fn finish(mut self) -> (Vec<Violation>, usize) {
        for sender in Side::BOTH {
            self.check_lost(sender);
            self.check_stored_order(sender);
        }
        self.check_gapless();
        (self.violations, self.violation_count)
    }

    fn check_lost(&mut self, sender: Side) {
        let sent = &self.sent[sender as usize];
        let lost: Vec<_> =
            (0..).zip(&sent.acked).filter(|(index, seq)| **seq != 0 && sent.arrived(*index) == 0).collect();
        let lost: Vec<_> = lost.into_iter().map(|(index, seq)| (index, self.base + u64::from(*seq))).collect();
        for (index, seq) in lost {
            self.violated(Violation::Lost { sender, index, seq });
        }
    }

    fn check_stored_order(&mut self, sender: Side) {
        let Self { base, strict_order, sent, .. } = self;
        let sent = &sent[sender as usize];
        let mut highest = 0;
        let mut late = Vec::new();
        for (index, &seq) in (0..).zip(&sent.acked).filter(|(_, seq)| **seq != 0) {
            if !*strict_order && sent.repeated.contains(&index) {
                continue;
            }
            if seq < highest {
                late.push((index, *base + u64::from(seq), *base + u64::from(highest)));
            }
            highest = highest.max(seq);
        }
        for (index, seq, after) in late {
            self.violated(Violation::StoredOutOfOrder { sender, index, seq, after });
        }
    }

    fn check_gapless(&mut self) {
        let mut seqs: Vec<u32> = self.sent.iter().flat_map(Sent::seqs).collect();
        seqs.sort_unstable();
        let mut last = 0;
        for seq in seqs {
            if seq == last {
                self.violated(Violation::SeqReused { seq: self.base + u64::from(seq) });
            } else if seq != last + 1 {
                self.violated(Violation::SeqMissing { seq: self.base + u64::from(last) + 1 });
            }
            last = seq;
        }
    }

    fn same_seq(&mut self, (sender, index): (Side, u32), first: u32, then: u32) {
        if first != 0 && first != then {
            let [first, then] = [first, then].map(|seq| self.base + u64::from(seq));
            self.violated(Violation::SeqChanged { sender, index, first, then });
        }
    }

    /// The seq relative to the base; a seq at or below it belongs to an older message.
    fn relative(&mut self, seq: u64) -> Option<u32> {
        let relative = seq.checked_sub(self.base).and_then(|seq| u32::try_from(seq).ok()).filter(|seq| *seq != 0);
        if relative.is_none() {
            self.violated(Violation::SeqReused { seq });
        }
        relative
    }

    fn violated(&mut self, violation: Violation) {
        self.violation_count += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }
}

impl Sent {
    fn arrived(&self, index: u32) -> u32 {
        self.delivered.get(index as usize).copied().unwrap_or(0)
    }

    /// The seq of every message that anybody knows one of.
    fn seqs(&self) -> impl Iterator<Item = u32> {
        let len = self.acked.len().max(self.delivered.len());
        let at = |seqs: &[u32], index: usize| seqs.get(index).copied().unwrap_or(0);
        (0..len)
            .map(move |index| match at(&self.acked, index) {
                0 => at(&self.delivered, index),
                seq => seq,
            })
            .filter(|seq| *seq != 0)
    }
}

fn slot(seqs: &mut Vec<u32>, index: u32) -> &mut u32 {
    let index = index as usize;
    if seqs.len() <= index {
        seqs.resize(index + 1, 0);
    }
    &mut seqs[index]
}

#[cfg(test)]
mod tests;
