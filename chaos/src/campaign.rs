//! A run: a stack of its own, a crowd, the faults of a schedule, the verdict. A campaign is many of them.

use std::{convert::Infallible, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use local_stack::{Stack, StackConfig, stack::Role};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    blame::{Span, blame},
    config::Config,
    crowd::Crowd,
    injector::{Injector, Struck},
    report::{Line, RunReport},
    schedule::{Kind, Schedule},
};

/// Below the working directory, as all that the repository's commands leave.
const FOLDER: &str = ".local";
/// What the users wait for while they connect is nobody's fault.
const WARM_UP: Duration = Duration::from_secs(1);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Does the run of a seed from the start of the stack to its end.
///
/// # Errors
/// When the stack does not start, a fault cannot be injected, or somebody does not get fit again at the end.
pub async fn run(config: &Config, seed: u64) -> Result<RunReport> {
    let schedule = config.schedule(seed);
    std::fs::create_dir_all(FOLDER).with_context(|| format!("cannot create {FOLDER}"))?;
    let dir = tempfile::Builder::new().prefix("chaos.").disable_cleanup(config.keep).tempdir_in(FOLDER);
    let dir = dir.with_context(|| format!("cannot create a folder in {FOLDER}"))?;
    let stack = Stack::start(&stack_config(config, &schedule, dir.path())).await?;
    match strike_and_judge(config, seed, stack, schedule).await {
        Ok(report) => {
            // Services of another folder are meant to fail.
            let is_worth_a_look = !report.is_ok() && config.programs.is_none();
            Ok(RunReport { folder: (is_worth_a_look || config.keep).then(|| dir.keep()), ..report })
        }
        Err(error) => Err(error.context(format!("see {}", dir.keep().join("log").display()))),
    }
}

async fn strike_and_judge(config: &Config, seed: u64, stack: Stack, schedule: Schedule) -> Result<RunReport> {
    let mut injector = Injector::new(stack, schedule.clone())?;
    let crowd = Crowd::start(config, seed, injector.stack().manifest()).await?;
    let (origin, start) = (crowd.origin(), Instant::now());
    let struck = tokio::select! {
        struck = injector.run(start, start + config.duration) => struck,
        never = show_progress(&crowd, seed, start, &schedule) => match never {},
    };
    // What the crowd saw until then counts even if it cannot go on.
    let healed = injector.heal().await;
    let end = Instant::now();
    let database_url = injector.stack().manifest().database_url.clone();
    let outcome = crowd.finish(config.settle, &database_url).await?;
    let report = RunReport {
        seed,
        command: config.command(seed, &schedule),
        schedule: schedule.to_string(),
        faults: injector.struck().len(),
        lasted: end - start,
        waits: blame(&spans(injector.struck(), origin, end), &outcome.stalls, (start + WARM_UP - origin, end - origin)),
        troubles: troubles(&mut injector, [struck, healed]),
        outcome,
        folder: None,
    };
    injector.stop().await;
    Ok(report)
}

/// Shows a line a second, for ever.
async fn show_progress(crowd: &Crowd, seed: u64, start: Instant, schedule: &Schedule) -> Infallible {
    let mut ticks = interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut line = Line::new(seed);
    sleep_until(start + PROGRESS_EVERY).await;
    loop {
        ticks.tick().await;
        line.show(start.elapsed(), &crowd.progress(), schedule);
    }
}

fn stack_config(config: &Config, schedule: &Schedule, dir: &Path) -> StackConfig {
    StackConfig {
        gateways: config.gateways,
        replicas: config.replicas,
        nats: config.nats,
        pg_standby: config.pg_standby,
        port: 0,
        dir: dir.to_owned(),
        env: config.env.iter().map(|(name, value)| (name.clone(), value.into())).collect(),
        // What is not needed is left out: a proxy costs time on every message.
        proxied: schedule.has(Kind::is_of_links),
        has_clocks: schedule.has(|kind| matches!(kind, Kind::Clock(_))),
        programs: config.programs.clone(),
        ..StackConfig::default()
    }
}

fn spans(struck: &[Struck], origin: Instant, end: Instant) -> Vec<Span> {
    let span = |struck: &Struck| Span {
        label: struck.label.clone(),
        from: struck.began.saturating_duration_since(origin),
        to: struck.ended.unwrap_or(end).saturating_duration_since(origin),
    };
    struck.iter().map(span).collect()
}

/// The failures besides broken promises: a service that ended by itself, a process that had to be killed when it was to
/// stop, a fault that could not be injected. A server whose disk is full may end by itself.
fn troubles(injector: &mut Injector, outcomes: [Result<()>; 2]) -> Vec<String> {
    let overdue = injector.overdue().iter().map(|name| format!("{name} was to stop, and had to be killed"));
    let mut troubles: Vec<String> = overdue.collect();
    let ours = injector.unasked_ends().iter().filter(|end| end.role != Role::Server);
    troubles.extend(ours.map(|end| format!("nobody ended it: {}", end.obituary)));
    troubles.extend(outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
    troubles
}
