//! How much a member may send and change in a match, whatever gateways and sockets it comes through.
//!
//! Each replica counts for itself. The owner of a match's partition sees all of its sends; what another replica is
//! asked while the owner is silent counts there, and so does what comes by gRPC, so that the limit is approximate.

use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use proto::{
    MatchId, UserId,
    chat::{Code, Failure, SendResult},
};
use service_kit::rate::{self, Accounts, Bucket, Rate};

use crate::{command::SendMessages, send_result::failure_of_sender};

/// The time in which a sender's bytes come back.
const BYTES_FILL: Duration = Duration::from_mins(1);
/// Below this number of accounts nobody looks for idle ones.
const SWEEP_FROM: usize = 1024;

/// How much each member may do in each match.
#[derive(Debug, Clone, Copy, Args)]
pub struct SendRates {
    /// Messages of one sender in one match, and changes of messages there, each replica counting for itself.
    #[arg(
        long = "limit-sends-match",
        env = "LIMIT_SENDS_MATCH",
        value_name = "PER_SECOND/BURST",
        default_value = "20/40"
    )]
    pub sends: Rate,

    /// Bytes of messages of one sender in one match, also of edited ones, in a minute and at once.
    #[arg(
        long = "limit-bytes-match",
        env = "LIMIT_BYTES_MATCH",
        value_name = "BYTES_PER_MINUTE",
        default_value = "1000000"
    )]
    pub bytes: NonZeroU32,
}

/// The part of their limits that all senders have used. A sender who has not sent for a while takes no memory.
#[derive(Debug)]
pub(crate) struct SendLimits {
    rates: SendRates,
    /// Keyed by chance, so that nobody can share an account on purpose.
    hasher: RandomState,
    accounts: Mutex<Accounts<u64, Account>>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    sends: Bucket,
    bytes: Bucket,
}

impl SendLimits {
    pub(crate) fn new(rates: SendRates) -> Self {
        Self { rates, hasher: RandomState::new(), accounts: Mutex::new(Accounts::new(SWEEP_FROM)) }
    }

    /// Takes a command of a member that is no send, with so many bytes of content.
    ///
    /// # Errors
    /// With what the member is told, if it may not be taken now.
    pub(crate) fn take(&self, (id, user): (&MatchId, &UserId), bytes: usize, now: Instant) -> Result<(), Failure> {
        let sender = self.hasher.hash_one((id, user));
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = accounts.with(&sender, now, |account| account.take(&self.rates, bytes, now));
        let refused = |wait| (Code::RateLimited.into(), Some(millis(wait)));
        taken.map_err(refused).map_err(|(code, retry_after_ms)| Failure { code, retry_after_ms, of_sender: true })
    }

    /// Leaves of a member's drafts those that may be sent now, and gives the results of the others.
    ///
    /// After the first that is refused all are, as what a socket sends keeps its order. Each is told to come back one
    /// message later than the one before.
    pub(crate) fn cut(&self, send: &mut SendMessages, now: Instant) -> Vec<SendResult> {
        let (mut taken, mut wait) = (0, Duration::ZERO);
        {
            let sender = self.hasher.hash_one((&send.match_id, &send.author.id));
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.with(&sender, now, |account| {
                for draft in &send.drafts {
                    if let Err(needed) = account.take(&self.rates, draft.body.len(), now) {
                        wait = needed;
                        break;
                    }
                    taken += 1;
                }
            });
        }
        let refused = send.drafts.drain(taken..).enumerate();
        let later = |i: usize| self.rates.sends.interval().saturating_mul(u32::try_from(i).unwrap_or(u32::MAX));
        refused.map(|(i, _)| failure_of_sender(Code::RateLimited, millis(wait + later(i)))).collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.accounts.lock().unwrap().len()
    }
}

impl rate::Account for Account {
    fn new(now: Instant) -> Self {
        Self { sends: Bucket::full(now), bytes: Bucket::full(now) }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.sends.is_full(now) && self.bytes.is_full(now)
    }
}

impl Account {
    /// Takes one message of so many bytes, or nothing.
    fn take(&mut self, rates: &SendRates, bytes: usize, now: Instant) -> Result<(), Duration> {
        let mut next = *self;
        let cost =
            BYTES_FILL.mul_f64(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(rates.bytes.get()));
        let sends = next.sends.take(rates.sends.interval(), rates.sends.fill(), now);
        let bytes = next.bytes.take(cost, BYTES_FILL, now);
        match (sends, bytes) {
            (Ok(()), Ok(())) => {
                *self = next;
                Ok(())
            }
            (sends, bytes) => Err(sends.err().max(bytes.err()).unwrap_or_default()),
        }
    }
}

/// Rounded up: who comes back when told must not be a moment too early.
fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proto::{ClientId, chat::send_result};

    use super::*;
    use crate::room::{Author, Draft};

    fn limits(sends: &str, bytes: u32) -> SendLimits {
        SendLimits::new(SendRates { sends: sends.parse().unwrap(), bytes: NonZeroU32::new(bytes).unwrap() })
    }

    fn request(id: &str, sender: &str, drafts: usize, bytes: usize) -> SendMessages {
        let draft = Draft {
            client_id: ClientId::new("c").unwrap(),
            body: "x".repeat(bytes),
            names: Vec::new(),
            reply_to: None,
        };
        let author = Author { id: UserId::new(sender).unwrap(), origin: None, by_rest: false };
        SendMessages { match_id: MatchId::new(id).unwrap(), author, drafts: vec![draft; drafts] }
    }

    /// How many drafts are left, and when the others are to come back.
    fn cut(limits: &SendLimits, mut send: SendMessages, now: Instant) -> (usize, Vec<i64>) {
        let refused = limits.cut(&mut send, now);
        let waits = refused.into_iter().map(|result| match result.result {
            Some(send_result::Result::Failure(failure)) if failure.code() == Code::RateLimited && failure.of_sender => {
                failure.retry_after_ms.unwrap()
            }
            other => panic!("{other:?}"),
        });
        (send.drafts.len(), waits.collect())
    }

    #[test]
    fn a_burst_passes_and_what_follows_is_refused_in_order() {
        let (limits, now) = (limits("20/40", 1_000_000), Instant::now());
        assert_eq!(cut(&limits, request("m", "alice", 38, 10), now), (38, vec![]));
        assert_eq!(cut(&limits, request("m", "alice", 5, 10), now), (2, vec![50, 100, 150]));
        assert_eq!(cut(&limits, request("m", "alice", 1, 10), now + Duration::from_millis(50)), (1, vec![]));
    }

    #[test]
    fn what_changes_messages_counts_as_what_sends_them() {
        let (limits, now) = (limits("1/2", 1_000), Instant::now());
        let (id, alice) = (MatchId::new("m").unwrap(), UserId::new("alice").unwrap());
        assert_eq!(cut(&limits, request("m", "alice", 1, 10), now).0, 1);
        assert_eq!(limits.take((&id, &alice), 10, now), Ok(()));
        let refused = limits.take((&id, &alice), 10, now).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after_ms, refused.of_sender), (Code::RateLimited, Some(1_000), true));
        assert_eq!(cut(&limits, request("m", "alice", 1, 10), now).0, 0);
        let later = now + Duration::from_secs(2);
        assert!(limits.take((&id, &alice), 900, later).is_ok() && limits.take((&id, &alice), 900, later).is_err());
    }

    #[test]
    fn senders_and_matches_do_not_share_what_they_may() {
        let (limits, now) = (limits("1/1", 1_000_000), Instant::now());
        for (id, sender) in [("m", "alice"), ("m", "bob"), ("n", "alice")] {
            assert_eq!(cut(&limits, request(id, sender, 2, 10), now).0, 1);
        }
    }

    #[test]
    fn bytes_are_limited_by_the_minute_and_a_refused_message_takes_none() {
        let (limits, now) = (limits("1000/1000", 1_000), Instant::now());
        assert_eq!(cut(&limits, request("m", "alice", 3, 400), now), (2, vec![12_000]));
        assert_eq!(cut(&limits, request("m", "alice", 1, 200), now), (1, vec![]));
        assert_eq!(cut(&limits, request("m", "alice", 1, 400), now + Duration::from_secs(24)), (1, vec![]));
        assert_eq!(cut(&limits, request("n", "alice", 1, 5_000), now).0, 1, "larger than a minute's");
    }

    #[test]
    fn who_has_not_sent_for_a_while_takes_no_memory() {
        let (limits, start) = (limits("10/20", 1_000_000), Instant::now());
        for i in 0..100_000_u32 {
            let now = start + Duration::from_millis(u64::from(i));
            assert_eq!(cut(&limits, request(&format!("m{i}"), "alice", 1, 10), now).0, 1);
            assert!(limits.len() <= SWEEP_FROM + 1, "{} accounts", limits.len());
        }
    }
}
