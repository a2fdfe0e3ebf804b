//! Tests of the pure core: single steps, and arbitrary interleavings of replicas that compare and set.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const TIMING: Timing = Timing { ring_ms: 45_000, lease_ms: 45_000, max_call_ms: 3_600_000 };
const START_MS: i64 = 1_000_000;

/// The caller's device, another one of the caller's, the device that accepts, another one of the callee's.
const DEVICES: [(&str, &str); 4] =
    [("alice", "a-phone"), ("alice", "a-laptop"), ("bob", "b-phone"), ("bob", "b-tablet")];

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn ringing() -> Call {
    let ids = (CallId::new("c-1").unwrap(), MatchId::new("demo").unwrap());
    let alice = user("alice");
    let caller = Actor { user: &alice, device: "a-phone" };
    Call::ringing(ids, caller, user("bob"), None, (&TIMING, START_MS))
}

fn step(call: &Call, who: (&str, &str), command: &Command, now_ms: i64) -> Result<Option<Call>, Refusal> {
    call.decide(Actor { user: &user(who.0), device: who.1 }, command, &TIMING, now_ms)
}

fn active() -> Call {
    step(&ringing(), ("bob", "b-phone"), &accept(), START_MS + 10).unwrap().unwrap()
}

fn accept() -> Command {
    Command::Accept { signal: Some("{}".to_owned()) }
}

fn reject(reason: Option<&str>) -> Command {
    Command::Reject { signal: None, reason: reason.map(str::to_owned) }
}

fn end(reason: Option<&str>) -> Command {
    Command::End { signal: None, reason: reason.map(str::to_owned) }
}

fn reason(call: &Call) -> Option<Reason> {
    match &call.state {
        State::Ended(end) => Some(end.reason),
        _ => None,
    }
}

#[test]
fn the_first_device_that_accepts_has_the_call() {
    let call = active();
    assert_eq!(call.callee_device.as_ref().unwrap().name, "b-phone");
    assert_eq!((call.version, call.expires_at_ms), (2, START_MS + 10 + TIMING.max_call_ms));
    assert_eq!(step(&call, ("bob", "b-phone"), &accept(), START_MS + 20), Ok(None));
    assert_eq!(step(&call, ("bob", "b-tablet"), &accept(), START_MS + 20), Err(Refusal::StateConflict));
    assert_eq!(step(&call, ("alice", "a-phone"), &accept(), START_MS + 20), Err(Refusal::StateConflict));
}

#[test]
fn who_hangs_up_when_decides_the_reason() {
    let ended = |call: &Call, who| reason(&step(call, who, &end(None), START_MS + 20).unwrap().unwrap());
    assert_eq!(ended(&ringing(), ("alice", "a-phone")), Some(Reason::Cancelled));
    assert_eq!(ended(&ringing(), ("bob", "b-phone")), Some(Reason::Declined));
    assert_eq!(ended(&active(), ("alice", "a-phone")), Some(Reason::Completed));
    assert_eq!(ended(&active(), ("bob", "b-phone")), Some(Reason::Completed));
}

#[test]
fn only_the_callee_rejects_and_only_while_it_rings() {
    let rejected = step(&ringing(), ("bob", "b-tablet"), &reject(None), START_MS + 20).unwrap().unwrap();
    assert_eq!(reason(&rejected), Some(Reason::Declined));
    assert_eq!(step(&rejected, ("bob", "b-tablet"), &reject(None), START_MS + 30), Ok(None));
    assert_eq!(step(&ringing(), ("alice", "a-phone"), &reject(None), START_MS + 20), Err(Refusal::StateConflict));
    assert_eq!(step(&active(), ("bob", "b-tablet"), &reject(None), START_MS + 20), Err(Refusal::StateConflict));
}

#[test]
fn an_ended_call_takes_a_repeated_end_and_nothing_else() {
    let over = step(&active(), ("bob", "b-phone"), &end(None), START_MS + 20).unwrap().unwrap();
    for who in [("alice", "a-phone"), ("bob", "b-phone")] {
        assert_eq!(step(&over, who, &end(None), START_MS + 30), Ok(None));
        for command in [accept(), Command::Signal, Command::Renew] {
            assert_eq!(step(&over, who, &command, START_MS + 30), Err(Refusal::NotFound), "{command:?}");
        }
    }
}

#[test]
fn a_stranger_finds_nothing() {
    for command in [accept(), reject(None), end(None), Command::Signal, Command::Renew] {
        for call in [ringing(), active()] {
            assert_eq!(step(&call, ("mallory", "m"), &command, START_MS + 20), Err(Refusal::NotFound));
        }
    }
}

#[test]
fn a_client_s_reason_is_told_as_it_is_and_an_empty_one_counts_as_none() {
    let told = |text: &str| match step(&active(), ("bob", "b-phone"), &end(Some(text)), START_MS + 20) {
        Ok(Some(Call { state: State::Ended(end), .. })) => end.told_reason().to_owned(),
        other => panic!("{other:?}"),
    };
    for text in ["battery low", "à bientôt 👋", "a\nb", &"é".repeat(64)] {
        assert_eq!(told(text), text);
    }
    assert_eq!(told(""), "completed");
}

#[test]
fn an_unanswered_ring_ends_as_no_answer_also_when_the_lease_ends_with_it() {
    let call = ringing();
    assert_eq!(call.lapsed(START_MS + TIMING.ring_ms - 1), None);
    assert_eq!(reason(&call.lapsed(START_MS + TIMING.ring_ms).unwrap()), Some(Reason::NoAnswer));
}

#[test]
fn a_lease_that_is_not_renewed_ends_the_call() {
    let call = active();
    let renewed = step(&call, ("bob", "b-phone"), &Command::Renew, START_MS + 40_000).unwrap().unwrap();
    assert_eq!(renewed.version, call.version);
    assert_eq!(reason(&renewed.lapsed(START_MS + 45_000).unwrap()), Some(Reason::ConnectionLost));
    let both = step(&renewed, ("alice", "a-phone"), &Command::Renew, START_MS + 44_000).unwrap().unwrap();
    assert_eq!(both.lapsed(START_MS + 84_999), None);
    assert!(both.lapsed(START_MS + 85_000).is_some());
}

fn take_over(earlier: &str) -> Command {
    Command::TakeOver { earlier: earlier.to_owned() }
}

#[test]
fn a_device_takes_the_place_of_an_earlier_one_of_its_user_and_nobody_is_told() {
    let sides = [("alice", "a-phone", "a-new"), ("bob", "b-phone", "b-new")];
    for (user_id, earlier, device) in sides {
        let call = active();
        let taken = step(&call, (user_id, device), &take_over(earlier), START_MS + 40_000).unwrap().unwrap();
        assert_eq!((taken.version, taken.repeats, &taken.state), (call.version, call.repeats, &call.state));
        let device_now = taken.device_of(&user(user_id)).unwrap();
        assert_eq!((&*device_now.name, device_now.lease_until_ms), (device, START_MS + 85_000));
        let other = taken.other_than(&user(user_id));
        assert_eq!(taken.device_of(other), call.device_of(other));
        assert_eq!(step(&taken, (user_id, device), &Command::Signal, START_MS + 40_001), Ok(None));
        for command in [Command::Signal, Command::Renew] {
            assert_eq!(step(&taken, (user_id, earlier), &command, START_MS + 40_001), Err(Refusal::StateConflict));
        }
        assert_eq!(step(&taken, (user_id, device), &take_over(earlier), START_MS + 40_000), Ok(Some(taken.clone())));
    }
}

#[test]
fn the_device_of_a_caller_is_taken_over_while_it_rings_and_a_callee_has_none_yet() {
    let taken = step(&ringing(), ("alice", "a-new"), &take_over("a-phone"), START_MS + 10).unwrap().unwrap();
    assert_eq!(&*taken.caller_device.name, "a-new");
    assert_eq!(step(&ringing(), ("bob", "b-new"), &take_over("b-phone"), START_MS + 10), Err(Refusal::StateConflict));
}

#[test]
fn a_device_that_is_not_in_the_call_cannot_be_taken_over_and_an_ended_call_neither() {
    for (who, earlier) in
        [(("alice", "a-new"), "a-laptop"), (("bob", "b-new"), "b-tablet"), (("bob", "b-new"), "a-phone")]
    {
        assert_eq!(step(&active(), who, &take_over(earlier), START_MS + 20), Err(Refusal::StateConflict));
    }
    assert_eq!(step(&active(), ("carol", "c"), &take_over("a-phone"), START_MS + 20), Err(Refusal::NotFound));
    let over = step(&active(), ("bob", "b-phone"), &end(None), START_MS + 20).unwrap().unwrap();
    assert_eq!(step(&over, ("alice", "a-new"), &take_over("a-phone"), START_MS + 30), Err(Refusal::NotFound));
}

#[test]
fn each_change_is_repeated_twice() {
    let call = ringing();
    assert_eq!(call.due_ms(), Some(START_MS + 1_000));
    assert_eq!(call.repeated(START_MS + 999), None);
    let once = call.repeated(START_MS + 1_000).unwrap();
    assert_eq!((once.version, once.due_ms()), (1, Some(START_MS + 3_000)));
    let twice = once.repeated(START_MS + 3_000).unwrap();
    assert_eq!(twice.repeated(i64::MAX), None);
    assert_eq!(twice.due_ms(), Some(START_MS + TIMING.ring_ms));
    let over = twice.lapsed(START_MS + TIMING.ring_ms).unwrap();
    assert_eq!((over.repeats, over.due_ms()), (0, Some(START_MS + TIMING.ring_ms + 1_000)));
}

#[test]
fn a_ring_meets_the_calls_that_the_two_are_in() {
    let meets = |id, who: (&str, &str), call: &Call| {
        ring(&MatchId::new(id).unwrap(), Actor { user: &user(who.0), device: who.1 }, [call, call])
    };
    let busy = |elsewhere| Ringing::Busy { call_id: ringing().id, elsewhere };
    for (call, on_the_callee_s_tablet) in [(ringing(), busy(false)), (active(), busy(true))] {
        assert_eq!(meets("demo", DEVICES[0], &call), Ringing::Repeats(Box::new(call.clone())));
        assert_eq!(meets("demo", DEVICES[1], &call), busy(true));
        assert_eq!(meets("demo", DEVICES[2], &call), busy(false));
        assert_eq!(meets("demo", DEVICES[3], &call), on_the_callee_s_tablet);
        for device in DEVICES.into_iter().chain([("carol", "c")]) {
            assert_eq!(meets("other", device, &call), Ringing::BusyInAnotherMatch, "{device:?}");
        }
        let over = call.lapsed(i64::MAX).unwrap();
        for (id, device) in ["demo", "other"].into_iter().flat_map(|id| DEVICES.map(|device| (id, device))) {
            assert_eq!(meets(id, device, &over), Ringing::Starts, "{id} {device:?}");
        }
    }
    let nobody = ring(&MatchId::new("demo").unwrap(), Actor { user: &user("alice"), device: "a" }, []);
    assert_eq!(nobody, Ringing::Starts);
}

/// The outcome of a command in a word: the state that it leads to, `same`, or the refusal.
fn outcome(call: &Call, who: (&str, &str), command: &Command) -> &'static str {
    match step(call, who, command, START_MS + 20) {
        Ok(None) => "same",
        Ok(Some(next)) => match next.state {
            State::Ended(end) => end.reason.as_str(),
            _ if next.version == call.version => "renewed",
            State::Active(_) => "active",
            State::Ringing => "ringing",
        },
        Err(Refusal::NotFound) => "not found",
        Err(Refusal::StateConflict) => "conflict",
    }
}

#[test]
fn every_command_of_every_device_in_every_state_is_decided() {
    let over = step(&active(), DEVICES[0], &end(None), START_MS + 15).unwrap().unwrap();
    // Columns: the caller's device, another one of the caller's, the device that accepts, another one of the callee's.
    let table = [
        (ringing(), accept(), ["conflict", "conflict", "active", "active"]),
        (ringing(), reject(None), ["conflict", "conflict", "declined", "declined"]),
        (ringing(), end(None), ["cancelled", "cancelled", "declined", "declined"]),
        (ringing(), Command::Signal, ["conflict", "conflict", "conflict", "conflict"]),
        (ringing(), Command::Renew, ["renewed", "conflict", "conflict", "conflict"]),
        (active(), accept(), ["conflict", "conflict", "same", "conflict"]),
        (active(), reject(None), ["conflict", "conflict", "conflict", "conflict"]),
        (active(), end(None), ["completed", "completed", "completed", "completed"]),
        (active(), Command::Signal, ["same", "conflict", "same", "conflict"]),
        (active(), Command::Renew, ["renewed", "conflict", "renewed", "conflict"]),
        (over.clone(), accept(), ["not found"; 4]),
        (over.clone(), reject(None), ["same"; 4]),
        (over.clone(), end(None), ["same"; 4]),
        (over.clone(), Command::Signal, ["not found"; 4]),
        (over, Command::Renew, ["not found"; 4]),
    ];
    for (call, command, expected) in table {
        assert_eq!(DEVICES.map(|device| outcome(&call, device, &command)), expected, "{command:?} in {:?}", call.state);
    }
}

#[test]
fn an_ended_call_keeps_what_its_repeats_need_and_nothing_longer() {
    let with = |signal: String| Command::End { signal: Some(signal), reason: None };
    let call = Call { media: Some("{}".to_owned()), ..active() };
    let kept_signal = |call: &Call| match &call.kept().state {
        State::Ended(end) => end.signal.clone(),
        other => panic!("{other:?}"),
    };
    let over = step(&call, DEVICES[0], &with("1".to_owned()), START_MS + 20).unwrap().unwrap();
    assert_eq!((over.media.as_deref(), kept_signal(&over).as_deref()), (None, Some("1")));
    let once = over.repeated(START_MS + 1_020).unwrap();
    assert_eq!(kept_signal(&once).as_deref(), Some("1"));
    let twice = once.repeated(START_MS + 3_020).unwrap();
    assert_eq!(kept_signal(&twice), None, "no later repeat needs it");
    let large = step(&call, DEVICES[0], &with("x".repeat(513)), START_MS + 20).unwrap().unwrap();
    assert_eq!(kept_signal(&large), None, "it is announced once");
    assert_eq!(*call.kept(), call);
}

#[test]
fn a_record_survives_its_encoding() {
    for call in [ringing(), active(), active().lapsed(i64::MAX).unwrap()] {
        let record = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<Call>(&record).unwrap(), call);
    }
}

/// What one replica does with the snapshot that it read some changes ago.
#[derive(Debug, Clone)]
struct Attempt {
    stale_by: usize,
    who: (&'static str, &'static str),
    command: Option<Command>,
    after_ms: i64,
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let who = select(vec![("alice", "a-phone"), ("alice", "a-laptop"), ("bob", "b-phone"), ("bob", "b-tablet")]);
    let commands =
        vec![None, Some(accept()), Some(reject(None)), Some(end(None)), Some(Command::Renew), Some(Command::Signal)];
    let attempt = (0..3_usize, who, select(commands), 0..30_000_i64);
    let attempt = attempt.prop_map(|(stale_by, who, command, after_ms)| Attempt { stale_by, who, command, after_ms });
    vec(attempt, 1..60)
}

proptest! {
    #[test]
    fn however_replicas_interleave_one_end_wins_and_states_only_go_forward(attempts in attempts()) {
        let mut history = vec![ringing()];
        let mut now_ms = START_MS;
        for Attempt { stale_by, who, command, after_ms } in attempts {
            now_ms += after_ms;
            let read = history.len().saturating_sub(stale_by + 1);
            let call = history[read].clone();
            let next = match (call.lapsed(now_ms), &command) {
                (Some(lapsed), _) => Some(lapsed),
                (None, None) => call.repeated(now_ms),
                (None, Some(command)) => step(&call, who, command, now_ms).unwrap_or(None),
            };
            // Compare-and-set: what changed since it was read is not overwritten.
            if let (Some(next), true) = (next, history[read] == history[history.len() - 1]) {
                history.push(next);
            }
        }
        for (former, next) in history.iter().zip(&history[1..]) {
            let progress = |call: &Call| match call.state { State::Ringing => 0, State::Active(_) => 1, State::Ended(_) => 2 };
            prop_assert!(progress(former) <= progress(next));
            prop_assert_eq!(next.version - former.version, i64::from(former.state != next.state));
            prop_assert!(former.callee_device.is_none() || former.callee_device.as_ref().map(|device| &device.name)
                == next.callee_device.as_ref().map(|device| &device.name));
        }
        prop_assert!(history.iter().filter(|call| !call.is_live()).all(|call| call.state == history[history.len() - 1].state));
        prop_assert!(history.iter().filter(|call| call.is_live()).all(|call| call.due_ms().is_some()));
    }

    #[test]
    fn time_alone_ends_every_call_and_falls_silent(accepted in any::<bool>()) {
        let mut call = if accepted { active() } else { ringing() };
        let mut steps = 0;
        while let Some(due_ms) = call.due_ms() {
            call = call.lapsed(due_ms).or_else(|| call.repeated(due_ms)).expect("something is due");
            steps += 1;
            prop_assert!(steps <= 5);
        }
        prop_assert!(!call.is_live());
    }
}
