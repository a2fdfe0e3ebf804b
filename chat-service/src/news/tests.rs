//! In which order, and in how many events, the members of a match hear what was committed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proto::{
    UserId,
    chat::{Closing, Deleted, Edited, Milestone},
};

use super::*;

fn message(match_id: &str, seq: i64, body: &str) -> Entry {
    Entry::Message(Message { match_id: match_id.to_owned(), seq, body: body.to_owned(), ..Message::default() })
}

fn change(match_id: &str, rev: i64, after_seq: i64, kind: Kind) -> Entry {
    let change = Change { rev, after_seq, created_at_ms: 0, kind: Some(kind) };
    Entry::Change(Logged { match_id: MatchId::new(match_id).unwrap(), change })
}

fn nobody() -> Succession {
    Succession::new(Audience::new(Vec::new(), 0))
}

/// Each event: the seqs of messages, or the name of a change.
fn heard(entries: Vec<Entry>) -> Vec<(String, Result<Vec<i64>, &'static str>)> {
    let what = |event: Event| match event {
        Event::MessagesPosted(posted) => Ok(posted.messages.iter().map(|message| message.seq).collect()),
        Event::MilestoneReached(_) => Err("milestone"),
        Event::MatchClosed(_) => Err("closing"),
        Event::MatchChanged(_) => Err("membership"),
        Event::MessageHidden(_) => Err("hidden"),
        Event::ReceiptUpdated(_) | Event::ReceiptsUpdated(_) => Err("receipt"),
        Event::SharingChanged(_) => Err("sharing"),
    };
    let members = ["a", "b", "c", "m0", "m1", "m2"].map(|id| (MatchId::new(id).unwrap(), nobody()));
    news(entries, &members.into())
        .into_iter()
        .map(|news| (news.match_id.as_str().to_owned(), what(news.event)))
        .collect()
}

#[test]
fn an_event_of_messages_ends_at_a_gap_at_another_match_and_at_what_nats_can_carry() {
    let large = "x".repeat(300 * 1024);
    let messages = vec![
        message("b", 1, ""),
        message("a", 5, ""),
        message("a", 3, ""),
        message("a", 2, ""),
        message("a", 3, ""),
        message("c", 1, &large),
        message("c", 2, &large),
        message("c", 3, ""),
    ];
    let expected = [("a", vec![2, 3]), ("a", vec![5]), ("b", vec![1]), ("c", vec![1]), ("c", vec![2, 3])];
    assert_eq!(heard(messages), expected.map(|(id, seqs)| (id.to_owned(), Ok(seqs))));
}

#[test]
fn a_change_is_heard_behind_the_message_that_it_comes_after_and_in_the_order_of_changes() {
    let milestone = || Kind::Milestone(Milestone::default());
    let entries = vec![
        change("a", 3, 2, Kind::Closing(Closing {})),
        change("a", 2, 2, milestone()),
        change("a", 2, 2, milestone()),
        message("a", 2, ""),
        change("a", 1, 1, milestone()),
        message("a", 1, ""),
        message("b", 1, ""),
    ];
    let expected = [
        ("a", Ok(vec![1])),
        ("a", Err("milestone")),
        ("a", Ok(vec![2])),
        ("a", Err("milestone")),
        ("a", Err("closing")),
        ("b", Ok(vec![1])),
    ];
    assert_eq!(heard(entries), expected.map(|(id, what)| (id.to_owned(), what)));
}

proptest! {
    #[test]
    fn every_message_is_heard_once_and_in_order(seqs in proptest::collection::vec((0..3_u8, 1..30_i64), 0..60)) {
        let given: BTreeSet<(String, i64)> = seqs.iter().map(|(id, seq)| (format!("m{id}"), *seq)).collect();
        let runs = heard(seqs.iter().map(|(id, seq)| message(&format!("m{id}"), *seq, "")).collect());
        let mut told = Vec::new();
        for (id, run) in runs {
            let run = run.unwrap();
            prop_assert!(run.windows(2).all(|pair| pair[1] == pair[0] + 1));
            told.extend(run.into_iter().map(|seq| (id.clone(), seq)));
        }
        prop_assert_eq!(told, given.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn who_has_hidden_a_message_is_told_no_more_than_the_rev_of_its_changes() {
    let user = |name: &str| UserId::new(name).unwrap();
    let mut members = Succession::new(Audience::new(vec![user("alice"), user("bob"), user("carol")], 0));
    members.hide(3, user("bob"));
    members.hide(4, user("alice"));
    members.hide(3, user("mallory"));
    let edited = Edited { seq: 3, actor: "alice".into(), body: "\"x\"".into() };
    let deleted = Deleted { seq: 3, actor: "alice".into() };
    let entries = vec![change("a", 1, 9, Kind::Edited(edited.clone())), change("a", 2, 9, Kind::Deleted(deleted))];
    let told = news(entries, &[(MatchId::new("a").unwrap(), members)].into());
    let told: Vec<_> = told
        .iter()
        .map(|news| {
            let Event::MatchChanged(changed) = &news.event else { panic!("{news:?}") };
            let change = changed.change.as_ref().unwrap();
            let names: Vec<&str> = news.audience.members().iter().map(UserId::as_str).collect();
            (
                change.rev,
                change.after_seq,
                change.kind.as_ref().map(|kind| *kind == Kind::Edited(edited.clone())),
                names,
            )
        })
        .collect();
    let expected = [
        (1, 9, Some(true), vec!["alice", "carol"]),
        (1, 9, None, vec!["bob"]),
        (2, 9, Some(false), vec!["alice", "bob", "carol"]),
    ];
    assert_eq!(told, expected);
}
