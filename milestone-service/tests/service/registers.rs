//! A register in a real Redis, whatever is done to it in whatever order.

use local_stack::servers::Redis;
use milestone_service::{
    milestone::{Milestone, Milestones, Scope},
    store::{IfMissing, Register, Registers},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestCaseResult, TestRunner},
};
use proto::MatchId;
use service_kit::{Lifecycle, config::RedisConfig, health::Readiness, redis::Redis as Client};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SCHEDULES: u32 = 256;
const LONGEST_SCHEDULE: usize = 60;
const THRESHOLDS: [i64; 3] = [3, 5, 12];

/// What happens at once. What a replica does takes several steps, and those of others come between.
#[derive(Debug, Clone)]
enum Step {
    /// So many messages are committed, and nobody is told.
    Commit(i64),
    /// A head is heard of: the newest, an older one, perhaps again.
    Hear(Index),
    /// Who found no register makes one from what was the head when it asked.
    Rebuild(Index),
    /// A milestone that somebody found due is marked as recorded.
    Mark,
    /// Redis loses everything.
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_i64).prop_map(Step::Commit),
        6 => any::<Index>().prop_map(Step::Hear),
        2 => any::<Index>().prop_map(Step::Rebuild),
        3 => Just(Step::Mark),
        1 => Just(Step::Flush),
    ]
}

/// Registers in a Redis of their own.
struct World {
    client: Client,
    registers: Registers,
    milestones: Milestones,
    demo: MatchId,
    _redis: Redis,
    _dir: TempDir,
}

impl World {
    async fn start() -> Self {
        let (dir, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
        let redis = Redis::start(dir.path()).await.unwrap();
        let config = RedisConfig { redis_url: redis.url().to_owned() };
        let client = Client::open(&config, Readiness::new(&lifecycle).condition("redis"), &lifecycle).unwrap();
        let milestone = |threshold| Milestone {
            id: format!("m-{threshold:02}"),
            threshold,
            unlocks: Vec::new(),
            scope: Scope::Pair,
        };
        Self {
            registers: Registers::new(client.clone(), "t."),
            client,
            milestones: Milestones::new(THRESHOLDS.map(milestone).into()).unwrap(),
            demo: MatchId::new("demo").unwrap(),
            _redis: redis,
            _dir: dir,
        }
    }
}

/// One match, and what its register should hold.
struct Schedule<'a> {
    world: &'a World,
    committed: i64,
    expected: Option<Register>,
    /// Found due and not yet marked.
    found: Vec<String>,
}

impl<'a> Schedule<'a> {
    async fn play(world: &'a World, steps: &[Step]) -> TestCaseResult {
        let mut schedule = Self { world, committed: 0, expected: None, found: Vec::new() };
        schedule.flush().await;
        for step in steps {
            match step {
                Step::Commit(count) => schedule.committed += count,
                Step::Hear(head) => schedule.raise(schedule.head(*head), IfMissing::Leave).await?,
                Step::Rebuild(head) => schedule.raise(schedule.head(*head), IfMissing::Create).await?,
                Step::Mark => schedule.mark().await,
                Step::Flush => schedule.flush().await,
            }
        }
        schedule.end().await
    }

    /// The newest head makes up for all that was lost; then nothing is due any more.
    async fn end(mut self) -> TestCaseResult {
        self.raise(self.committed, IfMissing::Create).await?;
        while !self.found.is_empty() {
            self.mark().await;
        }
        self.raise(self.committed, IfMissing::Create).await?;
        let reached = self.world.milestones.reached(self.committed).iter().map(|milestone| milestone.id.clone());
        prop_assert_eq!(self.expected.unwrap().recorded, reached.collect::<Vec<_>>());
        prop_assert_eq!(self.found, Vec::<String>::new());
        Ok(())
    }

    /// Any head that there was.
    fn head(&self, index: Index) -> i64 {
        let heads = usize::try_from(self.committed).unwrap() + 1;
        i64::try_from(index.index(heads)).unwrap()
    }

    async fn raise(&mut self, head: i64, if_missing: IfMissing) -> TestCaseResult {
        match &mut self.expected {
            Some(register) => register.count = register.count.max(head),
            missing if if_missing == IfMissing::Create => {
                *missing = Some(Register { count: head, recorded: Vec::new() });
            }
            _ => {}
        }
        let mut raised = self.world.registers.raise(&self.world.demo, head, if_missing).await.unwrap();
        if let Some(register) = &mut raised {
            register.recorded.sort();
        }
        prop_assert_eq!(&raised, &self.expected);
        if let Some(Register { count, recorded }) = raised {
            for due in self.world.milestones.due(count, &recorded) {
                prop_assert!(due.threshold <= self.committed, "{} of {} messages", due.threshold, self.committed);
                self.found.push(due.id.clone());
            }
        }
        Ok(())
    }

    async fn mark(&mut self) {
        let Some(id) = self.found.pop() else { return };
        self.world.registers.mark_recorded(&self.world.demo, &id).await.unwrap();
        if let Some(register) = &mut self.expected {
            register.recorded.push(id);
            register.recorded.sort();
            register.recorded.dedup();
        }
    }

    async fn flush(&mut self) {
        self.world.client.command::<()>(&redis::cmd("FLUSHALL")).await.unwrap();
        self.expected = None;
    }
}

#[test]
fn a_register_holds_the_highest_head_since_it_was_made_and_each_milestone_is_due_until_it_is_marked() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(SCHEDULES) });
    let steps = vec(step(), 1..=LONGEST_SCHEDULE);
    runner.run(&steps, |steps| runtime.block_on(Schedule::play(&world, &steps))).unwrap();
}
