//! Syncs on a real PostgreSQL: nothing is left out, whatever is under way meanwhile.

use std::collections::BTreeMap;

use proto::chat::{
    ChangeMembersRequest, CloseMatchRequest, HideMessageRequest, KnownMatch, PutBlockRequest, PutSettingsRequest,
    SyncRequest, SyncResponse, SyncedMatch,
    change_message_request::{Change, DeleteForEveryone},
};
use service_kit::bus::Bus;

use crate::support::{Replica, Stack, change_message, draft, eventually, mark, request, send, shared};

/// Everything that is new for alice, page by page; the token is moved on.
async fn sync(replica: &Replica, token: &mut Option<String>, limit: i32) -> Vec<SyncedMatch> {
    let mut all = Vec::new();
    loop {
        let SyncResponse { token: next, has_more, matches, reset, .. } = ask(replica, token.clone(), limit).await;
        assert!(!reset, "the token is good");
        all.extend(matches);
        *token = Some(next);
        if !has_more {
            return all;
        }
    }
}

/// Syncs until nothing is new: what other tests have under way on the server makes things come twice. What is told from
/// then on was written since.
async fn settle(replica: &Replica, token: &mut Option<String>) {
    eventually("nothing is new", async || sync(replica, token, 200).await.is_empty()).await;
}

/// What is told after nothing was new.
async fn told(replica: &Replica, token: &mut Option<String>) -> Vec<SyncedMatch> {
    let told = sync(replica, token, 200).await;
    settle(replica, token).await;
    told
}

async fn ask(replica: &Replica, token: Option<String>, limit: i32) -> SyncResponse {
    let request = SyncRequest { user_id: "alice".into(), token, limit, messages: 50, ..SyncRequest::default() };
    replica.rpc().sync(request).await.unwrap().into_inner()
}

fn ids(matches: &[SyncedMatch]) -> Vec<&str> {
    matches.iter().map(|of| of.match_id.as_str()).collect()
}

async fn say(bus: &Bus, id: &str, sender: &str, text: &str) {
    send(bus, &request(id, sender, vec![draft(text, text)])).await;
}

/// Three matches of alice and bob, with a message in each but the last.
async fn three(stack: &Stack) -> (Replica, Bus) {
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    for id in ["one", "two", "three"] {
        replica.put(id).await;
    }
    say(&bus, "one", "alice", "a").await;
    say(&bus, "two", "bob", "b").await;
    (replica, bus)
}

#[tokio::test]
async fn the_first_sync_tells_everything_and_the_next_only_what_has_changed() {
    let stack = shared().await.stack().await;
    let (replica, bus) = three(&stack).await;
    let mut token = None;
    let first = sync(&replica, &mut token, 200).await;
    assert_eq!(ids(&first), ["two", "one", "three"], "by activity");
    assert_eq!(first[0].last_message.as_ref().unwrap().body, "\"b\"");
    assert_eq!(first[0].receipts.as_ref().unwrap().me.as_ref().unwrap().unread, 1);
    settle(&replica, &mut token).await;

    say(&bus, "one", "bob", "c").await;
    let next = told(&replica, &mut token).await;
    assert_eq!(ids(&next), ["one"]);
    mark(&replica, ("two", "alice"), &[1]).await.unwrap();
    assert_eq!(ids(&told(&replica, &mut token).await), ["two"], "read on another device");
    mark(&replica, ("one", "bob"), &[1]).await.unwrap();
    assert_eq!(ids(&told(&replica, &mut token).await), ["one"], "a receipt");
    change_message(&replica, ("two", "bob", 1), None, Change::Delete(DeleteForEveryone {})).await.unwrap();
    let deleted = told(&replica, &mut token).await;
    assert_eq!((ids(&deleted), deleted[0].last_message.as_ref().unwrap().deleted), (vec!["two"], true));
    let hide = HideMessageRequest { match_id: "one".into(), user_id: "alice".into(), seq: 2 };
    replica.rpc().hide_message(hide).await.unwrap();
    let hidden = told(&replica, &mut token).await;
    assert_eq!((ids(&hidden), hidden[0].last_message.as_ref().unwrap().seq), (vec!["one"], 1));
    replica.rpc().close_match(CloseMatchRequest { match_id: "three".into() }).await.unwrap();
    assert_eq!(ids(&told(&replica, &mut token).await), ["three"]);
}

#[tokio::test]
async fn what_is_known_is_not_told_again_and_what_is_missing_is() {
    let stack = shared().await.stack().await;
    let (replica, bus) = three(&stack).await;
    for n in 0..5 {
        say(&bus, "one", "bob", &n.to_string()).await;
    }
    change_message(&replica, ("one", "bob", 2), None, Change::Edit("\"x\"".into())).await.unwrap();
    let known = |seq, rev| vec![KnownMatch { match_id: "one".into(), seq, rev }];
    let of = async |known, messages| {
        let request = SyncRequest { user_id: "alice".into(), known, messages, limit: 9, ..SyncRequest::default() };
        let all = replica.rpc().sync(request).await.unwrap().into_inner().matches;
        let one = all.into_iter().find(|of| of.match_id == "one").unwrap();
        let seqs: Vec<i64> = one.messages.iter().map(|message| message.seq).collect();
        (seqs, one.changes.len(), one.limited)
    };
    assert_eq!(of(known(2, 0), 50).await, (vec![3, 4, 5, 6], 1, false));
    assert_eq!(of(known(2, 1), 3).await, (vec![3, 4, 5], 0, true));
    assert_eq!(of(known(6, 1), 50).await, (vec![], 0, false));
    assert_eq!(of(known(99, 99), 50).await, (vec![], 0, false));
    assert_eq!(of(vec![], 2).await, (vec![5, 6], 0, true));
    assert_eq!(of(known(2, 1), 0).await, (vec![], 0, true));

    let hide = HideMessageRequest { match_id: "one".into(), user_id: "alice".into(), seq: 2 };
    replica.rpc().hide_message(hide).await.unwrap();
    for (known, expected) in [(known(6, 1), vec![2]), (vec![], vec![])] {
        let request = SyncRequest { user_id: "alice".into(), known, limit: 9, ..SyncRequest::default() };
        let all = replica.rpc().sync(request).await.unwrap().into_inner().matches;
        assert_eq!(all.iter().find(|of| of.match_id == "one").unwrap().hidden, expected);
    }
}

#[tokio::test]
async fn a_transaction_that_stays_open_is_told_when_it_is_over() {
    let stack = shared().await.stack().await;
    let (replica, bus) = three(&stack).await;
    let mut slow = stack.sql().await;
    let transaction = slow.transaction().await.unwrap();
    let write = "UPDATE matches SET last_seq = last_seq + 1, rev = rev + 1 WHERE match_id = 'three'";
    transaction.batch_execute(write).await.unwrap();
    let mut token = None;
    assert_eq!(ids(&sync(&replica, &mut token, 200).await), ["two", "one", "three"]);
    for n in 0..20 {
        say(&bus, "one", "bob", &n.to_string()).await;
        // What was written since the open transaction began comes again; what is new is always there.
        let told = sync(&replica, &mut token, 200).await;
        assert_eq!((ids(&told)[0], told[0].last_message.as_ref().unwrap().seq), ("one", n + 2));
        assert!(!ids(&told).contains(&"three"));
    }
    transaction.commit().await.unwrap();
    let told = sync(&replica, &mut token, 200).await;
    assert_eq!(told.iter().find(|of| of.match_id == "three").unwrap().r#match.as_ref().unwrap().last_seq, 1);
    settle(&replica, &mut token).await;
}

#[tokio::test]
async fn what_happens_between_two_pages_is_told_in_the_next_round() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    for n in 0..9 {
        let id = format!("m{n}");
        replica.put(&id).await;
        say(&bus, &id, "bob", "x").await;
    }
    let (mut token, mut seen) = (None, BTreeMap::new());
    for page in 0..3 {
        let SyncResponse { token: next, has_more, matches, .. } = ask(&replica, token, 3).await;
        // What was to come last goes to the front.
        assert_eq!((matches.len(), has_more), ([3, 3, 2][page], page < 2));
        seen.extend(matches.into_iter().map(|of| (of.match_id, of.r#match.unwrap().last_seq)));
        token = Some(next);
        say(&bus, "m0", "bob", &page.to_string()).await;
    }
    assert_eq!(seen.keys().next(), Some(&"m1".to_owned()), "the others: {seen:?}");
    let told = sync(&replica, &mut token, 3).await;
    assert!(told.iter().any(|of| of.match_id == "m0" && of.r#match.as_ref().unwrap().last_seq == 4), "{told:?}");
}

#[tokio::test]
async fn who_keeps_receipts_private_changes_nothing_for_others() {
    let stack = shared().await.stack().await;
    let (replica, bus) = three(&stack).await;
    let private =
        PutSettingsRequest { user_id: "bob".into(), share_receipts: Some(false), ..PutSettingsRequest::default() };
    replica.rpc().put_settings(private).await.unwrap();
    let mut token = None;
    settle(&replica, &mut token).await;
    mark(&replica, ("one", "bob"), &[1]).await.unwrap();
    let hide = HideMessageRequest { match_id: "one".into(), user_id: "bob".into(), seq: 1 };
    replica.rpc().hide_message(hide).await.unwrap();
    assert_eq!(sync(&replica, &mut token, 200).await, []);
    say(&bus, "one", "alice", "y").await;
    let told = sync(&replica, &mut token, 200).await;
    assert_eq!(told[0].receipts.as_ref().unwrap().others, []);
}

#[tokio::test]
async fn a_match_that_was_left_is_told_as_gone_until_it_is_joined_again() {
    let stack = shared().await.stack().await;
    let (replica, _bus) = three(&stack).await;
    let change = async |add: &[&str], remove: &[&str]| {
        let [add, remove] = [add, remove].map(|users| users.iter().map(ToString::to_string).collect());
        let request = ChangeMembersRequest { match_id: "one".into(), add, remove, ..ChangeMembersRequest::default() };
        replica.rpc().change_members(request).await.unwrap();
    };
    let mut token = None;
    settle(&replica, &mut token).await;
    change(&["carol"], &["alice"]).await;
    let gone = told(&replica, &mut token).await;
    assert_eq!((ids(&gone), gone[0].r#match.is_none()), (vec!["one"], true));
    assert_eq!(ids(&sync(&replica, &mut None, 200).await), ["two", "three"], "who asks for everything sees it");
    change(&["alice"], &[]).await;
    assert!(sync(&replica, &mut token, 200).await[0].r#match.is_some());
}

#[tokio::test]
async fn whom_the_user_has_blocked_is_told_when_it_has_changed() {
    let stack = shared().await.stack().await;
    let (replica, _bus) = three(&stack).await;
    let blocked = |response: &SyncResponse| response.blocked.clone().map(|blocked| blocked.user_ids);
    let first = ask(&replica, None, 9).await;
    assert_eq!(blocked(&first), Some(vec![]));
    let mut token = Some(first.token);
    settle(&replica, &mut token).await;
    let second = ask(&replica, token, 9).await;
    assert_eq!(blocked(&second), None);
    let block = PutBlockRequest { user_id: "alice".into(), blocked_id: "mallory".into() };
    replica.rpc().put_block(block).await.unwrap();
    let third = ask(&replica, Some(second.token), 9).await;
    assert_eq!((blocked(&third), third.matches.len()), (Some(vec!["mallory".into()]), 0));
}

#[tokio::test]
async fn a_token_of_another_user_or_history_and_a_forged_one_begin_anew() {
    let stack = shared().await.stack().await;
    let (replica, _bus) = three(&stack).await;
    let of_bob = SyncRequest { user_id: "bob".into(), limit: 9, ..SyncRequest::default() };
    let of_bob = replica.rpc().sync(of_bob).await.unwrap().into_inner().token;
    for bad in [of_bob.as_str(), "", "forged", &"x".repeat(60_000)] {
        let answer = ask(&replica, Some(bad.to_owned()), 9).await;
        assert_eq!((answer.reset, answer.matches.len()), (true, 3));
    }
    let own = ask(&replica, None, 9).await;
    stack.sql().await.batch_execute("UPDATE epochs SET epoch = DEFAULT").await.unwrap();
    let known = vec![KnownMatch { match_id: "one".into(), seq: 99, rev: 99 }];
    let request = SyncRequest {
        user_id: "alice".into(),
        token: Some(own.token),
        known,
        messages: 5,
        limit: 9,
        ..SyncRequest::default()
    };
    let answer = replica.rpc().sync(request).await.unwrap().into_inner();
    assert!(answer.reset && answer.epoch != own.epoch);
    assert_eq!(answer.matches[1].messages.len(), 1, "what was known is of another history");
}
