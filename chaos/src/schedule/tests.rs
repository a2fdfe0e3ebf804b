//! The text form and what seeds give.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SETUP: Setup = Setup { gateways: 3, replicas: 2, nats: 3, has_standby: true, has_clocks: true };

fn schedule(text: &str) -> Result<Schedule> {
    text.parse()
}

#[test]
fn a_schedule_is_read_in_the_order_of_its_times() {
    let read = schedule("4+3 slow=80 gateway-0>nats; 2+1.5 kill chat-service-0;8 flush redis;").unwrap();
    assert_eq!(read.to_string(), "2+1.5 kill chat-service-0; 4+3 slow=80 gateway-0>nats; 8 flush redis");
    assert_eq!(read.end(), Duration::from_secs(8));
    assert!(read.has(Kind::is_of_links));
    assert_eq!(schedule("none").unwrap().to_string(), "none");
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    for (text, reason) in [
        ("kill nats", "is not AT[+FOR]"),
        ("x kill nats", "not a time"),
        ("-1 kill nats", "not a time"),
        ("inf kill nats", "too long"),
        ("1+1e9 kill nats", "too long"),
        ("1 explode nats", "there is no fault"),
        ("1 slow a>b", "needs a value"),
        ("1 slow=-5 a>b", "not possible"),
        ("1 clock=9999999999 gateway-0", "not possible"),
        ("1 kill=3 nats", "takes no value"),
    ] {
        let error = schedule(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn faults_are_counted_by_kind_and_role() {
    let label = |text: &str| text.parse::<Fault>().unwrap().label();
    assert_eq!(label("1+1 kill gateway-2"), "kill gateway");
    assert_eq!(label("1+1 kill gateway"), "kill all gateway");
    assert_eq!(label("1+1 cut gateway-1>chat-service-0"), "cut gateway>chat-service");
    assert_eq!(label("1+1 clock=-30 chat-service-0"), "clock chat-service");
}

#[test]
fn kinds_that_the_set_up_lacks_are_left_out() {
    let small = Setup { nats: 1, has_standby: false, has_clocks: false, ..SETUP };
    for seed in 0..200 {
        let schedule = Schedule::generate(seed, Duration::from_mins(1), &small, &[]);
        assert!(!schedule.has(|kind| matches!(kind, Kind::Promote | Kind::LameDuck | Kind::Clock(_))), "{schedule}");
    }
}

#[test]
fn every_kind_comes_up() {
    let all: Vec<Fault> =
        (0..50).flat_map(|seed| Schedule::generate(seed, Duration::from_mins(2), &SETUP, &[]).faults).collect();
    for kind in Kind::ALL {
        assert!(all.iter().any(|fault| fault.kind.name() == kind.name()), "{}", kind.name());
    }
}

/// Whom the faults of this kind hit in some hundred seeds.
fn hit(kind: Kind, setup: &Setup) -> BTreeSet<String> {
    let faults = (0..400).flat_map(|seed| Schedule::generate(seed, Duration::from_mins(2), setup, &[kind]).faults);
    faults.map(|fault| fault.target).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_link_of_a_stack_breaks() {
    let smallest = Setup { gateways: 1, replicas: 1, nats: 1, has_standby: false, has_clocks: false };
    // As in local-stack/tests/faults.rs.
    let links = names(&[
        "chat-service-0>nats",
        "chat-service-0>postgres",
        "clients>gateway-0",
        "gateway-0>chat-service-0",
        "gateway-0>milestone-service-0",
        "gateway-0>nats",
        "gateway-0>signaling-service-0",
        "milestone-service-0>chat-service-0",
        "milestone-service-0>nats",
        "milestone-service-0>redis",
        "signaling-service-0>chat-service-0",
        "signaling-service-0>milestone-service-0",
        "signaling-service-0>nats",
        "signaling-service-0>redis",
    ]);
    assert_eq!(hit(Kind::Cut, &smallest), links);
    let on_a_cluster = hit(Kind::Cut, &SETUP);
    assert_eq!(on_a_cluster.len(), 3 * (1 + 3 + 6) + 2 * (3 + 2) + 2 * (3 + 1 + 2) + 2 * (3 + 1 + 2 + 2));
    assert!(on_a_cluster.contains("chat-service-1>postgres-1") && on_a_cluster.contains("gateway-2>nats-2"));
}

#[test]
fn every_process_is_struck() {
    let services = ["chat-service-0", "chat-service-1", "milestone-service-0", "milestone-service-1"];
    let more = ["signaling-service-0", "signaling-service-1", "gateway-0", "gateway-1", "gateway-2"];
    let servers = ["nats", "nats-0", "nats-1", "nats-2", "postgres-0", "postgres-1", "redis"];
    assert_eq!(hit(Kind::Kill, &SETUP), names(&[&services[..], &more, &servers].concat()));
    assert_eq!(hit(Kind::Clock(0), &SETUP), names(&[&services[..], &more].concat()));
}

#[test]
fn the_gateways_and_every_service_are_rolled() {
    assert_eq!(hit(Kind::Roll, &SETUP), names(&["chat-service", "gateway", "milestone-service", "signaling-service"]));
}

#[test]
fn only_the_kinds_that_are_asked_for_strike() {
    let only = [Kind::Freeze, Kind::Slow(0)];
    let schedule = Schedule::generate(7, Duration::from_mins(5), &SETUP, &only);
    assert!(!schedule.faults().is_empty());
    assert!(schedule.faults().iter().all(|fault| ["freeze", "slow"].contains(&fault.kind.name())), "{schedule}");
}

proptest! {
    #[test]
    fn a_seed_gives_a_schedule_that_can_be_written_and_read(seed: u64, seconds in 5_u64..600) {
        let duration = Duration::from_secs(seconds);
        let schedule = Schedule::generate(seed, duration, &SETUP, &[]);
        prop_assert_eq!(&schedule, &Schedule::generate(seed, duration, &SETUP, &[]));
        prop_assert_eq!(&schedule, &schedule.to_string().parse().unwrap());
        prop_assert!(schedule.end() < duration);
        prop_assert!(schedule.faults().iter().filter(|fault| fault.kind == Kind::Promote).count() <= 1);
    }

    #[test]
    fn whatever_is_written_is_read_or_refused(text in "[0-9+. a-z;=>-]{0,40}") {
        if let Ok(read) = text.parse::<Schedule>() {
            prop_assert_eq!(&read, &read.to_string().parse().unwrap());
        }
    }
}
