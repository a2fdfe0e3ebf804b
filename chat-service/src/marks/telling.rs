//! What others are told of how far members have come: in a chat of several at most once a second, all of it together.
//! Pure: the time goes in.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use proto::{MatchId, UserId, inbox::ReceiptUpdated};

/// How often the members of one chat are told at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most members, of all chats together, whose receipts may wait. What comes beyond is told at once.
const MAX_WAITING: usize = 10_000;

/// The receipt of a member, and those who may see it.
type Receipt = (ReceiptUpdated, Vec<UserId>);

/// Receipts that wait, and chats that were told less than a second ago.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// By chat, then by the member whose it is: the last one says what those before it say.
    waiting: HashMap<MatchId, BTreeMap<String, Receipt>>,
    /// By the time when the chat may be told, also of those for whom nothing waits yet.
    due: BTreeMap<(Instant, u64), MatchId>,
    number: u64,
    count: usize,
}

impl Telling {
    /// A receipt for several. Returns it if it is to be told at once.
    pub(super) fn add(&mut self, chat: &MatchId, receipt: Receipt, now: Instant) -> Option<Receipt> {
        if let Some(waiting) = self.waiting.get_mut(chat)
            && self.count < MAX_WAITING
        {
            self.count += usize::from(waiting.insert(receipt.0.user_id.clone(), receipt).is_none());
            return None;
        }
        if !self.waiting.contains_key(chat) && self.waiting.len() < MAX_WAITING {
            self.waiting.insert(chat.clone(), BTreeMap::new());
            self.wait(chat.clone(), now);
        }
        Some(receipt)
    }

    fn wait(&mut self, chat: MatchId, now: Instant) {
        self.number += 1;
        self.due.insert((now + INTERVAL, self.number), chat);
    }

    /// When a chat may be told next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes what is to be told by now: by user, all receipts of a chat that the user may see.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(UserId, Vec<ReceiptUpdated>)> {
        let mut told = Vec::new();
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let chat = first.remove();
            let receipts = self.waiting.remove(&chat).unwrap_or_default();
            self.count -= receipts.len();
            if receipts.is_empty() {
                continue;
            }
            told.extend(by_user(receipts));
            self.waiting.insert(chat.clone(), BTreeMap::new());
            self.wait(chat, now);
        }
        told
    }
}

fn by_user(receipts: BTreeMap<String, Receipt>) -> BTreeMap<UserId, Vec<ReceiptUpdated>> {
    let mut by_user: BTreeMap<UserId, Vec<ReceiptUpdated>> = BTreeMap::new();
    for (updated, others) in receipts.into_values() {
        for other in others {
            by_user.entry(other).or_default().push(updated.clone());
        }
    }
    by_user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(of: &str, read_seq: i64, others: &[&str]) -> Receipt {
        let updated = ReceiptUpdated { user_id: of.into(), read_seq, ..ReceiptUpdated::default() };
        (updated, others.iter().map(|name| UserId::new(*name).unwrap()).collect())
    }

    fn told(telling: &mut Telling, now: Instant) -> Vec<(String, Vec<(String, i64)>)> {
        let told = telling.take_due(now).into_iter();
        let seqs = |receipts: Vec<ReceiptUpdated>| receipts.into_iter().map(|of| (of.user_id, of.read_seq)).collect();
        told.map(|(user, receipts)| (user.to_string(), seqs(receipts))).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_what_follows_within_a_second_together() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let chat = MatchId::new("m").unwrap();
        let first = receipt("alice", 1, &["bob", "carol"]);
        assert_eq!(telling.add(&chat, first.clone(), start), Some(first));
        assert_eq!(telling.add(&chat, receipt("alice", 2, &["bob", "carol"]), start), None);
        assert_eq!(telling.add(&chat, receipt("alice", 3, &["bob", "carol"]), start), None);
        assert_eq!(telling.add(&chat, receipt("bob", 3, &["alice"]), start), None);
        assert_eq!(telling.next_due(), Some(start + INTERVAL));
        assert_eq!(told(&mut telling, start), []);
        let of = |user: &str, seqs: &[(&str, i64)]| {
            (user.to_owned(), seqs.iter().map(|(of, seq)| ((*of).to_owned(), *seq)).collect::<Vec<_>>())
        };
        let all = [of("alice", &[("bob", 3)]), of("bob", &[("alice", 3)]), of("carol", &[("alice", 3)])];
        assert_eq!(told(&mut telling, start + INTERVAL), all);
        assert_eq!(told(&mut telling, start + INTERVAL * 2), []);
        assert_eq!((telling.next_due(), telling.waiting.len(), telling.count), (None, 0, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let chat = MatchId::new("m").unwrap();
        let waiting = |n: &usize| telling.add(&chat, receipt(&format!("u{n}"), 1, &["bob"]), start).is_none();
        assert_eq!((0..MAX_WAITING * 2).filter(waiting).count(), MAX_WAITING);
    }
}
