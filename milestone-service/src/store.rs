//! Redis: one register per match, which only grows. Nothing here is the only copy of anything.
//!
//! `<prefix>milestone:{<match>}` is a hash: `count` is the highest seq seen, `recorded:<id>` marks a milestone that
//! PostgreSQL has. Each script touches one key, so the keys may be spread over a cluster.

use std::time::Duration;

use proto::MatchId;
use redis::Script;
use service_kit::{
    mutation::{self, Mutation},
    redis::{Redis, RedisError},
};

/// A match that was silent for longer starts again from its committed head.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);
const SCANNED_AT_ONCE: usize = 500;
/// Only for [`Mutation::CounterWithoutMax`].
const COUNT_EVENTS: &str = "return {redis.call('HINCRBY', KEYS[1], 'count', 1), {}}";

/// The registers of all matches.
#[derive(Debug)]
pub struct Registers {
    redis: Redis,
    key_prefix: String,
    raise: Script,
    mark: Script,
}

/// What is known of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The highest seq seen: the match has at least this many messages.
    pub count: i64,
    /// Milestones known to be recorded.
    pub recorded: Vec<String>,
}

/// Whether a register that is missing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// It stays missing: its count must come from the committed head.
    Leave,
    /// It starts with the given count, which is the committed head.
    Create,
}

impl Registers {
    /// The registers behind `prefix`.
    pub fn new(redis: Redis, prefix: &str) -> Self {
        Self {
            redis,
            key_prefix: format!("{prefix}milestone:"),
            raise: Script::new(if mutation::is_broken(Mutation::CounterWithoutMax) {
                COUNT_EVENTS
            } else {
                include_str!("store/raise.lua")
            }),
            mark: Script::new(include_str!("store/mark.lua")),
        }
    }

    /// Whether Redis answers. While it does not, asking it only takes time.
    pub fn are_available(&self) -> bool {
        self.redis.is_available()
    }

    /// Raises a match's count to `count` unless it is higher already. `None` when the register is missing and stays so.
    pub async fn raise(&self, id: &MatchId, count: i64, if_missing: IfMissing) -> Result<Option<Register>, RedisError> {
        let mut raise = self.raise.key(self.key(id));
        raise.arg(count).arg(millis(KEPT_FOR)).arg(i32::from(if_missing == IfMissing::Create));
        let answer: Option<(i64, Vec<String>)> = self.redis.script(&raise).await?;
        Ok(answer.map(|(count, recorded)| Register { count, recorded }))
    }

    /// Remembers that PostgreSQL has a milestone of a match.
    pub async fn mark_recorded(&self, id: &MatchId, milestone_id: &str) -> Result<(), RedisError> {
        let mut mark = self.mark.key(self.key(id));
        mark.arg(milestone_id);
        self.redis.script(&mark).await
    }

    /// Removes a match's register.
    pub async fn forget(&self, id: &MatchId) -> Result<(), RedisError> {
        let mut delete = redis::cmd("DEL");
        delete.arg(self.key(id));
        self.redis.command(&delete).await
    }

    /// Some of the matches that have a register, and where to go on; 0 at first and at the end.
    pub async fn scan(&self, cursor: u64) -> Result<(u64, Vec<MatchId>), RedisError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}{{*}}", glob_literal(&self.key_prefix)));
        scan.arg("COUNT").arg(SCANNED_AT_ONCE);
        let (cursor, keys): (u64, Vec<String>) = self.redis.command(&scan).await?;
        Ok((cursor, keys.iter().filter_map(|key| self.match_of(key)).collect()))
    }

    fn key(&self, id: &MatchId) -> String {
        format!("{}{{{id}}}", self.key_prefix)
    }

    fn match_of(&self, key: &str) -> Option<MatchId> {
        let id = key.strip_prefix(&self.key_prefix)?.strip_prefix('{')?.strip_suffix('}')?;
        MatchId::new(id).ok()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `text` with what a Redis pattern would read as a wildcard escaped.
fn glob_literal(text: &str) -> String {
    text.chars().flat_map(|c| "*?[]^-\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}
