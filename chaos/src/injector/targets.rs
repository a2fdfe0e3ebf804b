//! Whom a fault means, and whether a stack has that.

use anyhow::{Context as _, Result, ensure};
use local_stack::{Stack, daemon::Daemon, stack::Member};

use super::lock;
use crate::schedule::{Fault, Kind};

/// Everybody's name.
pub(super) fn names(stack: &mut Stack) -> Vec<String> {
    stack.members_mut().iter().map(|member| member.daemon.name().to_owned()).collect()
}

/// One process, as the stack names it (`postgres` is the primary), else all of a kind.
pub(super) fn meant_by(target: &str, stack: &mut Stack) -> Vec<String> {
    match stack.member_mut(target) {
        Some(member) => vec![member.daemon.name().to_owned()],
        None => names(stack).into_iter().filter(|name| is_meant(target, name)).collect(),
    }
}

/// The process with this name.
pub(super) fn daemon<'a>(name: &str, stack: &'a mut Stack) -> Result<&'a mut Daemon> {
    member(name, stack).map(|member| &mut member.daemon)
}

/// The process with this name, and what it is.
pub(super) fn member<'a>(name: &str, stack: &'a mut Stack) -> Result<&'a mut Member> {
    stack.member_mut(name).with_context(|| format!("nobody is called {name}"))
}

/// Refuses a fault that is meant for somebody or a link that the stack does not have.
pub(super) fn check(fault: &Fault, stack: &mut Stack) -> Result<()> {
    let target = &fault.target;
    let is_member = count_of(target, stack) > 0;
    let is_pair = count_of("postgres", stack) > 1;
    let is_there = match fault.kind {
        kind if kind.is_of_links() => stack.links().get(target).is_some(),
        Kind::Lock => lock::TABLES.contains(&target.as_str()),
        Kind::Wipe => is_member && target.starts_with("nats"),
        Kind::LameDuck => stack.member_mut(target).is_some() && target.starts_with("nats"),
        Kind::Flush => target == "redis",
        Kind::Promote => target == "postgres" && is_pair,
        _ => is_member,
    };
    ensure!(is_there, "--schedule: this set-up has nothing for {fault}");
    Ok(())
}

fn count_of(target: &str, stack: &mut Stack) -> usize {
    names(stack).iter().filter(|name| is_meant(target, name)).count()
}

/// `nats` means `nats`, or `nats-0`, `nats-1`, …
fn is_meant(target: &str, name: &str) -> bool {
    let number = name.strip_prefix(target).and_then(|rest| rest.strip_prefix('-'));
    name == target || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_process_or_all_of_a_kind() {
        assert!(is_meant("nats", "nats") && is_meant("nats", "nats-2") && is_meant("chat-service-1", "chat-service-1"));
        assert!(
            !is_meant("chat", "chat-service-0") && !is_meant("nats-1", "nats-11") && !is_meant("gateway-", "gateway-0")
        );
    }
}
