//! Redis: live calls, each changed in one atomic step together with everything that points to it.
//!
//! | key | holds |
//! |---|---|
//! | `<prefix>{calls}:call:<callId>` | the call, as JSON |
//! | `<prefix>{calls}:match:<matchId>` | the id of the match's last call |
//! | `<prefix>{calls}:user:<userId>` | the id of the live call that the user is in |
//! | `<prefix>{calls}:last:<userId>` | the id of the last call that the user was called in, or calling |
//! | `<prefix>{calls}:rings:<userId>` | list of when the user rang last, as far back as the limit asks |
//! | `<prefix>{calls}:rings:<userId>:<matchId>` | the same of one match |
//! | `<prefix>{calls}:deadlines` | sorted set of `<matchId>:<callId>` by when something is due |
//! | `<prefix>{calls}:sweep` | set while a replica looks for closed matches |
//!
//! They share a hash tag, because one step touches several: all live calls stand on one primary (about 1 KB each).
//! Everything but the sorted set expires by itself. The clock is that of Redis, one for all replicas: a replica whose
//! own clock jumps neither ends a call early nor keeps it.

mod keys;

pub use keys::CallRef;

use std::time::Duration;

use proto::{MatchId, UserId, ids::CallId};
use redis::{Script, ScriptInvocation};
use service_kit::redis::{Redis, RedisError};

use crate::{
    call::Call,
    quota::{Quota, RingQuotas},
};
use keys::Keys;

/// How long an ended call is kept, so that repeated commands find it, and a device that was away learns its end: about
/// 0.5 KB.
const KEPT_AFTER_END_MS: i64 = 6 * 3_600_000;
/// How long a live call outlives its deadline, while no replica is there to end it.
const KEPT_AFTER_DEADLINE_MS: i64 = 60_000;
/// What one replica has taken on and does not finish is another's after this.
const CLAIM: Duration = Duration::from_secs(2);
/// A little less than the interval at which replicas look for closed matches.
const SWEEP: Duration = Duration::from_millis(900);

/// The calls of one stack.
#[derive(Debug)]
pub struct Calls {
    redis: Redis,
    keys: Keys,
    load: Script,
    put: Script,
    count: Script,
    claim: Script,
    quotas: RingQuotas,
}

/// What became of a new call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It rings.
    Done,
    /// One of the two is in another call meanwhile.
    Taken,
    /// Its caller has rung too often, and may again after this.
    Limited(Duration),
}

/// A call as it was read: changing it succeeds only if it is still the same.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The call.
    pub call: Call,
    record: String,
}

/// What was read, and Redis' Unix time then.
#[derive(Debug)]
pub struct Snapshot<T> {
    /// Milliseconds.
    pub now_ms: i64,
    /// What was read.
    pub found: T,
}

impl Calls {
    /// The calls behind `prefix`, of callers who may ring as often as `quotas` say.
    pub fn new(redis: Redis, prefix: &str, quotas: RingQuotas) -> Self {
        Self {
            redis,
            keys: Keys::new(prefix),
            load: Script::new(include_str!("store/load.lua")),
            put: Script::new(concat!(include_str!("store/quota.lua"), include_str!("store/put.lua"))),
            count: Script::new(concat!(include_str!("store/quota.lua"), include_str!("store/count.lua"))),
            claim: Script::new(include_str!("store/claim.lua")),
            quotas,
        }
    }

    /// A call by its id.
    pub async fn by_id(&self, id: &CallId) -> Result<Snapshot<Option<Stored>>, RedisError> {
        self.load_one(self.keys.call(id), "").await
    }

    /// The last call of a match.
    pub async fn of_match(&self, id: &MatchId) -> Result<Snapshot<Option<Stored>>, RedisError> {
        self.load_one(self.keys.of_match(id), self.keys.call_prefix()).await
    }

    /// The live call that a user is in.
    pub async fn of_user(&self, id: &UserId) -> Result<Snapshot<Option<Stored>>, RedisError> {
        self.load_one(self.keys.of_user(id), self.keys.call_prefix()).await
    }

    /// The last call of a user, live or ended.
    pub async fn last_of_user(&self, id: &UserId) -> Result<Snapshot<Option<Stored>>, RedisError> {
        self.load_one(self.keys.last_of_user(id), self.keys.call_prefix()).await
    }

    /// The live calls that users are in.
    pub async fn of_users(&self, ids: [&UserId; 2]) -> Result<Snapshot<Vec<Stored>>, RedisError> {
        self.load(ids.map(|id| self.keys.of_user(id)).to_vec(), self.keys.call_prefix()).await
    }

    /// Adds a call, if its caller may ring; that is counted in the same step.
    pub async fn create(&self, call: &Call, now_ms: i64) -> Result<Created, RedisError> {
        Ok(match self.put(None, call, now_ms).await? {
            0 => Created::Taken,
            answer => too_often(-answer).map_or(Created::Done, Created::Limited),
        })
    }

    /// Counts a ring that starts no call; if the caller has rung too often, answers how long that lasts.
    pub async fn count_ring(&self, caller: &UserId, match_id: &MatchId) -> Result<Option<Duration>, RedisError> {
        let mut count = self.count.prepare_invoke();
        count.key(self.keys.rings(caller)).key(self.keys.rings_in_match(caller, match_id));
        self.add_quotas(&mut count);
        Ok(too_often(self.redis.script(&count).await?))
    }

    /// Changes a call; false when it is no longer as it was read.
    pub async fn replace(&self, former: &Stored, next: &Call, now_ms: i64) -> Result<bool, RedisError> {
        Ok(self.put(Some(former), next, now_ms).await? == 1)
    }

    /// Up to `limit` calls for which something is due. Nobody else is given them for a while.
    pub async fn claim_due(&self, limit: usize) -> Result<Vec<CallRef>, RedisError> {
        let mut claim = self.claim.key(self.keys.deadlines());
        claim.arg(limit).arg(millis(CLAIM));
        let members: Vec<String> = self.redis.script(&claim).await?;
        Ok(members.iter().filter_map(|member| member.parse().ok()).collect())
    }

    /// Takes a call that has expired off the sorted set.
    pub async fn forget(&self, call: &CallRef) -> Result<(), RedisError> {
        let mut remove = redis::cmd("ZREM");
        remove.arg(self.keys.deadlines()).arg(call.to_string());
        self.redis.command(&remove).await
    }

    /// Every call for which something will be due: all live ones, and a few that have just ended.
    pub async fn live(&self) -> Result<Vec<CallRef>, RedisError> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(self.keys.deadlines()).arg(0).arg(-1);
        let members: Vec<String> = self.redis.command(&range).await?;
        Ok(members.iter().filter_map(|member| member.parse().ok()).collect())
    }

    /// Whether it is this replica's turn to look for closed matches: true for one replica in each interval.
    pub async fn take_sweep_turn(&self) -> Result<bool, RedisError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.sweep()).arg(1).arg("NX").arg("PX").arg(millis(SWEEP));
        Ok(self.redis.command::<Option<String>>(&set).await?.is_some())
    }

    async fn load_one(&self, key: String, call_prefix: &str) -> Result<Snapshot<Option<Stored>>, RedisError> {
        let Snapshot { now_ms, found } = self.load(vec![key], call_prefix).await?;
        Ok(Snapshot { now_ms, found: found.into_iter().next() })
    }

    async fn load(&self, keys: Vec<String>, call_prefix: &str) -> Result<Snapshot<Vec<Stored>>, RedisError> {
        let mut load = self.load.prepare_invoke();
        load.arg(call_prefix);
        for key in keys {
            load.key(key);
        }
        let (now_ms, records): (i64, Vec<String>) = self.redis.script(&load).await?;
        Ok(Snapshot { now_ms, found: records.into_iter().filter_map(decode).collect() })
    }

    async fn put(&self, former: Option<&Stored>, next: &Call, now_ms: i64) -> Result<i64, RedisError> {
        let kept_for_ms = if next.is_live() {
            (next.expires_at_ms - now_ms).max(0) + KEPT_AFTER_DEADLINE_MS
        } else {
            KEPT_AFTER_END_MS
        };
        let mut put = self.put.prepare_invoke();
        put.key(self.keys.call(&next.id)).key(self.keys.of_match(&next.match_id));
        put.key(self.keys.of_user(&next.caller)).key(self.keys.of_user(&next.callee));
        put.key(self.keys.last_of_user(&next.caller)).key(self.keys.last_of_user(&next.callee));
        put.key(self.keys.deadlines());
        put.arg(former.map_or("", |former| &former.record)).arg(encode(next)).arg(kept_for_ms);
        put.arg(i32::from(next.is_live())).arg(next.due_ms().map_or(String::new(), |due_ms| due_ms.to_string()));
        put.arg(CallRef::of(next).to_string()).arg(next.id.as_str()).arg(self.keys.call_prefix());
        if former.is_none() {
            put.key(self.keys.rings(&next.caller)).key(self.keys.rings_in_match(&next.caller, &next.match_id));
            self.add_quotas(&mut put);
        }
        self.redis.script(&put).await
    }

    fn add_quotas(&self, script: &mut ScriptInvocation<'_>) {
        let RingQuotas { per_caller, per_match } = self.quotas;
        for Quota { count, window } in [per_caller, per_match] {
            script.arg(count).arg(millis(window));
        }
    }
}

/// What a script answers in milliseconds to a caller who has rung too often.
fn too_often(wait_ms: i64) -> Option<Duration> {
    u64::try_from(wait_ms).ok().filter(|wait_ms| *wait_ms > 0).map(Duration::from_millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn encode(call: &Call) -> String {
    // A struct of strings and numbers always has a JSON form.
    serde_json::to_string(call).unwrap_or_default()
}

fn decode(record: String) -> Option<Stored> {
    match serde_json::from_str(&record) {
        Ok(call) => Some(Stored { call, record }),
        Err(error) => {
            tracing::error!(%error, "a stored call cannot be read");
            None
        }
    }
}
