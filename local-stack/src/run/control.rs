//! Commands of a test on standard input: `kill chat-service-1`, `promote postgres`, … Each is answered with one line.

use std::{collections::HashSet, str::FromStr, time::Duration};

use anyhow::{Context, Error, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    select,
    time::interval,
};

use crate::{
    daemon::Daemon,
    note::{note, say},
    stack::Stack,
};

const TICK: Duration = Duration::from_millis(100);

/// What to do to whom.
#[derive(Debug, PartialEq)]
struct Command {
    verb: Verb,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    /// SIGKILL; it stays down.
    Kill,
    /// The orderly way, and wait; it stays down.
    Stop,
    /// Start it again and wait: a server until it is ready, a service until `/healthz` answers.
    Start,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Crash it and start it again, see [`Stack::restart`].
    Restart,
    /// `nats` or one of its servers, see [`Stack::wipe`].
    Wipe,
    /// `redis`, see [`Stack::flush_redis`].
    Flush,
    /// `postgres`, see [`Stack::promote_postgres`].
    Promote,
    /// `postgres`, see [`Stack::rejoin_postgres`].
    Rejoin,
    /// A NATS server, which stays down, see [`Stack::lame_duck`].
    LameDuck,
}

impl FromStr for Command {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (verb, name) = line.trim().split_once(' ').context("expected a verb and a name")?;
        let verb = match verb {
            "kill" => Verb::Kill,
            "stop" => Verb::Stop,
            "start" => Verb::Start,
            "freeze" => Verb::Freeze,
            "thaw" => Verb::Thaw,
            "restart" => Verb::Restart,
            "wipe" => Verb::Wipe,
            "flush" => Verb::Flush,
            "promote" => Verb::Promote,
            "rejoin" => Verb::Rejoin,
            "lame-duck" => Verb::LameDuck,
            _ => bail!(
                "unknown verb {verb}: kill, stop, start, freeze, thaw, restart, wipe, flush, promote, rejoin or \
                 lame-duck"
            ),
        };
        Ok(Self { verb, name: name.trim().to_owned() })
    }
}

/// Obeys until standard input ends.
pub(super) async fn obey(stack: &mut Stack) {
    let mut lines = BufReader::new(stdin()).lines();
    let mut tick = interval(TICK);
    let mut down = HashSet::new();
    loop {
        select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => answer(stack, line.trim(), &mut down).await,
                _ => return,
            },
            _ = tick.tick() => report_deaths(stack, &mut down),
        }
    }
}

async fn answer(stack: &mut Stack, line: &str, down: &mut HashSet<String>) {
    report_deaths(stack, down);
    match execute(stack, line, down).await {
        Ok(()) => say(format_args!("ok {line}")),
        // One line, whatever a process said last.
        Err(error) => say(format_args!("error {line}: {}", format!("{error:#}").replace('\n', " "))),
    }
}

async fn execute(stack: &mut Stack, line: &str, down: &mut HashSet<String>) -> Result<()> {
    let Command { verb, name } = line.parse()?;
    let done = carry_out(stack, verb, &name).await;
    // Whoever is down now was told to.
    down.clear();
    let members = stack.members_mut().iter_mut();
    down.extend(members.filter_map(|member| (!member.daemon.is_running()).then(|| member.daemon.name().to_owned())));
    stack.write_manifest()?;
    done
}

async fn carry_out(stack: &mut Stack, verb: Verb, name: &str) -> Result<()> {
    match (verb, name) {
        (Verb::Kill, _) => _ = daemon(stack, name)?.kill(),
        (Verb::Stop, _) => daemon(stack, name)?.stop().await.map(|_| ())?,
        (Verb::Start, _) => daemon(stack, name)?.start_again().await?,
        (Verb::Freeze, _) => daemon(stack, name)?.freeze(),
        (Verb::Thaw, _) => daemon(stack, name)?.thaw(),
        (Verb::Restart, _) => stack.restart(name).await?,
        (Verb::Wipe, _) => stack.wipe(name).await?,
        (Verb::LameDuck, _) => stack.lame_duck(name).await?,
        (Verb::Flush, "redis") => stack.flush_redis().await?,
        (Verb::Promote, "postgres") => stack.promote_postgres().await?,
        (Verb::Rejoin, "postgres") => stack.rejoin_postgres().await?,
        (Verb::Flush | Verb::Promote | Verb::Rejoin, _) => bail!("that is done to no {name}"),
    }
    Ok(())
}

fn daemon<'a>(stack: &'a mut Stack, name: &str) -> Result<&'a mut Daemon> {
    let member = stack.member_mut(name).with_context(|| format!("nobody is called {name}"))?;
    Ok(&mut member.daemon)
}

/// Says once of each who ended without being told to.
fn report_deaths(stack: &mut Stack, down: &mut HashSet<String>) {
    for member in stack.members_mut() {
        if !member.daemon.is_running() && down.insert(member.daemon.name().to_owned()) {
            note(member.daemon.obituary());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_verb_and_a_name() {
        let expected = Command { verb: Verb::Kill, name: "chat-service-1".to_owned() };
        assert_eq!("kill chat-service-1\n".parse::<Command>().unwrap(), expected);
        assert!("kill".parse::<Command>().is_err());
        assert!("explode nats".parse::<Command>().is_err());
    }
}
