//! What the other replicas have published, and which of them died before they could publish everything. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proto::chat::ReplicaState;

use crate::ownership::SILENCE;

/// How long after it fell silent a replica may still commit: it was cut off from the others and not from PostgreSQL.
const GRACE: Duration = Duration::from_mins(1);

/// The other replicas, until they have left or what they left behind is accounted for.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<String, Peer>,
}

#[derive(Debug)]
struct Peer {
    published_ms: i64,
    heard: Instant,
    /// When it was found silent.
    lost: Option<Instant>,
}

impl Peers {
    /// Another replica has announced itself: of what it committed before `published_ms` everything is published.
    pub fn hear(&mut self, id: &str, state: ReplicaState, published_ms: i64, now: Instant) {
        match state {
            ReplicaState::Left => {
                self.peers.remove(id);
            }
            _ => {
                self.peers.insert(id.to_owned(), Peer { published_ms, heard: now, lost: None });
            }
        }
    }

    /// Time has passed. Returns since when commits may be missing, if some replica has died.
    ///
    /// That is told twice: at once, and when it can no longer have gone on. Who is deaf itself calls nobody silent.
    pub fn on_time(&mut self, now: Instant, is_deaf: bool) -> Option<i64> {
        let mut missing_since = None;
        self.peers.retain(|_, peer| {
            let (is_found, is_over) = match peer.lost {
                None if is_deaf => {
                    peer.heard = now;
                    (false, false)
                }
                None => (now > peer.heard + SILENCE, false),
                Some(lost) => (false, now > lost + GRACE),
            };
            if is_found {
                peer.lost = Some(now);
            }
            if is_found || is_over {
                let since = missing_since.unwrap_or(peer.published_ms);
                missing_since = Some(peer.published_ms.min(since));
            }
            !is_over
        });
        missing_since
    }

    /// Of what these replicas committed before this time everything is published; `None` when there are none.
    pub fn published_ms(&self) -> Option<i64> {
        self.peers.values().map(|peer| peer.published_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_replica_that_falls_silent_holds_the_watermark_until_it_cannot_go_on() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.hear("a", ReplicaState::Serving, 100, start);
        peers.hear("b", ReplicaState::Serving, 200, start);
        assert_eq!(peers.on_time(start + seconds(1), false), None);
        peers.hear("b", ReplicaState::Serving, 300, start + seconds(3));
        assert_eq!(peers.on_time(start + seconds(3), false), Some(100));
        assert_eq!(peers.on_time(start + seconds(4), false), None);
        assert_eq!(peers.published_ms(), Some(100));
        for s in 4..70 {
            peers.hear("b", ReplicaState::Serving, 400, start + seconds(s));
            let again = peers.on_time(start + seconds(s), false);
            assert_eq!(again, (s == 64).then_some(100));
        }
        assert_eq!(peers.published_ms(), Some(400));
    }

    #[test]
    fn a_replica_that_leaves_counts_until_all_is_published() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.hear("a", ReplicaState::Leaving, 100, start);
        assert_eq!(peers.published_ms(), Some(100));
        peers.hear("a", ReplicaState::Left, 100, start);
        assert_eq!(peers.published_ms(), None);
        assert_eq!(peers.on_time(start + seconds(9), false), None);
    }

    #[test]
    fn a_replica_that_comes_back_is_not_lost() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.hear("a", ReplicaState::Serving, 100, start);
        assert_eq!(peers.on_time(start + seconds(5), false), Some(100));
        peers.hear("a", ReplicaState::Joining, 150, start + seconds(6));
        assert_eq!(peers.published_ms(), Some(150));
        assert_eq!(peers.on_time(start + seconds(7), false), None);
    }

    #[test]
    fn who_is_deaf_calls_nobody_silent() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.hear("a", ReplicaState::Serving, 100, start);
        assert_eq!(peers.on_time(start + seconds(10), true), None);
        assert_eq!(peers.on_time(start + seconds(11), false), None);
        assert_eq!(peers.on_time(start + seconds(13), false), Some(100));
    }
}
