//! What is stored of messages that change, and of how far members have come.

use proto::{
    chat::{
        ChangeMembersRequest, Code, GetMatchRequest, GetReceiptsRequest, HideMessageRequest, ListMessagesRequest,
        change::Kind,
        change_message_request::{Change, DeleteForEveryone, React},
        hide_message_response,
    },
    inbox::{MatchChanged, chat_event::Event},
};

use crate::support::{Stack, change_message, draft, eventually, inbox, mark, request, send, shared};

fn edit(text: &str) -> Change {
    Change::Edit(format!("\"{text}\""))
}

async fn count(stack: &Stack, sql: &str) -> i64 {
    stack.sql().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_was_replaced_is_kept_for_reports_and_then_forgotten() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "first")])).await;
    let of = ("demo", "alice", 1);
    assert_eq!(change_message(&replica, of, Some("x"), edit("second")).await, Ok((1, false)));
    assert_eq!(change_message(&replica, of, None, Change::Delete(DeleteForEveryone {})).await, Ok((2, false)));
    assert_eq!(change_message(&replica, of, Some("x"), edit("second")).await, Ok((1, true)));
    let versions = stack.sql().await.query("SELECT rev, body FROM versions ORDER BY rev", &[]).await.unwrap();
    let versions: Vec<(i64, String)> = versions.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(versions, [(1, "\"first\"".to_owned()), (2, "\"second\"".to_owned())]);
    // A late repeat of the send is that message, also for another replica.
    let other = stack.replica().await;
    let again = crate::support::outcomes(&send(&bus, &request("demo", "alice", vec![draft("a", "first")])).await);
    assert_eq!(again.iter().map(|result| result.as_ref().unwrap().duplicate).collect::<Vec<_>>(), [true]);
    let page = ListMessagesRequest { match_id: "demo".into(), limit: 9, ..ListMessagesRequest::default() };
    let message = other.rpc().list_messages(page).await.unwrap().into_inner().messages.remove(0);
    assert_eq!((message.deleted, message.body.as_str()), (true, ""));

    assert!(replica.stop().await && other.stop().await);
    stack
        .sql()
        .await
        .execute("UPDATE versions SET replaced_at = now() - interval '31 days' WHERE rev = 1", &[])
        .await
        .unwrap();
    let _replica = stack.replica().await;
    eventually("the older one is forgotten", async || count(&stack, "SELECT count(*) FROM versions").await == 1).await;
}

#[tokio::test]
async fn commands_of_many_users_to_one_message_all_count() {
    let stack = shared().await.stack().await;
    let (first, second, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    first.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    let react = |replica, user, emoji: &str| {
        let change = Change::React(React { emoji: emoji.to_owned(), on: true });
        change_message(replica, ("demo", user, 1), None, change)
    };
    for round in 0..10 {
        let emoji = ["a", "b"][round % 2];
        let (one, other) = tokio::join!(react(&first, "alice", emoji), react(&second, "bob", emoji));
        assert!(one.is_ok() && other.is_ok());
    }
    let found = GetMatchRequest { match_id: "demo".into(), since_seq: Some(0), limit: 9, ..GetMatchRequest::default() };
    let found = first.rpc().get_match(found).await.unwrap().into_inner();
    assert_eq!(found.r#match.unwrap().rev, 20, "each change has a rev of its own");
    let reactions: Vec<_> = found.messages[0].reactions.iter().map(|of| (&*of.user_id, &*of.emoji)).collect();
    assert_eq!(reactions, [("alice", "b"), ("bob", "b")]);
}

#[tokio::test]
async fn changes_count_as_sends_do() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.limited_replica(["1/5", "4000"]).await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    let react = |emoji: &str| Change::React(React { emoji: emoji.to_owned(), on: true });
    let of = ("demo", "alice", 1);
    let large = Change::Edit(format!("\"{}\"", "x".repeat(4_000)));
    assert_eq!(change_message(&replica, of, None, large).await, Err(Code::RateLimited), "of so many bytes");
    // However slow the machine is: one comes back in a second.
    let mut reacted = 0;
    while change_message(&replica, of, None, react(["a", "b"][reacted % 2])).await != Err(Code::RateLimited) {
        reacted += 1;
        assert!(reacted < 100, "nothing limits it");
    }
    let hide = HideMessageRequest { match_id: "demo".into(), user_id: "alice".into(), seq: 1 };
    let mut hidden = 0;
    let refused = loop {
        match replica.rpc().hide_message(hide.clone()).await.unwrap().into_inner().result.unwrap() {
            hide_message_response::Result::Failure(failure) => break failure,
            hide_message_response::Result::Hidden(_) => hidden += 1,
        }
        assert!(hidden < 100, "nothing limits it");
    };
    assert!(reacted >= 4 && refused.code() == Code::RateLimited && refused.of_sender);
    assert!(refused.retry_after_ms > Some(0));
    let another = change_message(&replica, ("demo", "bob", 1), None, react("c")).await;
    assert!(another.is_ok(), "{another:?}");
    let strange = change_message(&replica, ("demo", "mallory", 1), None, react("c")).await;
    assert_eq!(strange, Err(Code::MatchNotFound), "a stranger is told nothing of limits");
}

#[tokio::test]
async fn who_has_hidden_a_message_hears_of_its_changes_by_their_rev_alone() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "one"), draft("b", "two")])).await;
    let hide = HideMessageRequest { match_id: "demo".into(), user_id: "bob".into(), seq: 1 };
    replica.rpc().hide_message(hide).await.unwrap();
    let (mut alice, mut bob) = (inbox(&bus, "alice").await, inbox(&bus, "bob").await);
    let react = Change::React(React { emoji: "b".into(), on: true });
    change_message(&replica, ("demo", "alice", 1), Some("x"), edit("uno")).await.unwrap();
    change_message(&replica, ("demo", "alice", 1), None, react).await.unwrap();
    change_message(&replica, ("demo", "alice", 2), None, edit("dos")).await.unwrap();
    change_message(&replica, ("demo", "alice", 1), Some("x"), edit("uno")).await.unwrap();
    change_message(&replica, ("demo", "alice", 1), None, Change::Delete(DeleteForEveryone {})).await.unwrap();
    let kind = |event| match event {
        Event::MatchChanged(MatchChanged { change: Some(change), .. }) => match change.kind {
            Some(Kind::Edited(edited)) => (change.rev, edited.body),
            Some(Kind::Reacted(_)) => (change.rev, "reacted".to_owned()),
            Some(Kind::Deleted(_)) => (change.rev, "deleted".to_owned()),
            kind => (change.rev, format!("{kind:?}")),
        },
        other => panic!("{other:?}"),
    };
    let heard = |events: Vec<Event>| events.into_iter().map(kind).collect::<Vec<_>>();
    let told = |all: [(i64, &str); 4]| all.map(|(rev, what)| (rev, what.to_owned()));
    let all = told([(1, "\"uno\""), (2, "reacted"), (3, "\"dos\""), (4, "deleted")]);
    let bare = told([(1, "None"), (2, "None"), (3, "\"dos\""), (4, "deleted")]);
    assert_eq!((heard(alice.rest().await), heard(bob.rest().await)), (all.to_vec(), bare.to_vec()));
}

#[tokio::test]
async fn positions_only_grow_and_begin_at_the_head_for_who_comes_later() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", (0..5).map(|n| draft(&n.to_string(), "x")).collect())).await;
    for (read, stands) in [(&[3][..], 3), (&[1], 3), (&[4, 99], 4), (&[], 4)] {
        let position = mark(&replica, ("demo", "bob"), read).await.unwrap();
        assert_eq!((position.read_seq, position.delivered_seq, position.unread), (stands, stands, 5 - stands));
    }
    assert_eq!(mark(&replica, ("demo", "mallory"), &[1]).await, Err(Code::MatchNotFound));
    assert_eq!(mark(&replica, ("none", "mallory"), &[1]).await, Err(Code::MatchNotFound));
    let change =
        ChangeMembersRequest { match_id: "demo".into(), add: vec!["carol".into()], ..ChangeMembersRequest::default() };
    replica.rpc().change_members(change).await.unwrap();
    let asked = GetReceiptsRequest { user_id: "carol".into(), match_ids: vec!["demo".into(), "none".into()] };
    let mut receipts = replica.rpc().get_receipts(asked).await.unwrap().into_inner().receipts;
    let demo = receipts.remove(0);
    assert_eq!((receipts.len(), demo.me.as_ref().map(|me| (me.read_seq, me.unread))), (0, Some((5, 0))));
    let others: Vec<_> = demo.others.iter().map(|other| (&*other.user_id, other.read_seq)).collect();
    assert_eq!(others, [("alice", 0), ("bob", 4)]);
}

#[tokio::test]
async fn marks_of_many_members_are_few_rows() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", (0..5).map(|n| draft(&n.to_string(), "x")).collect())).await;
    let marks = (1..=5).map(|seq| [seq]).collect::<Vec<_>>();
    let marks = marks.iter().map(|seq| mark(&replica, ("demo", "bob"), seq));
    for position in futures_util::future::join_all(marks).await {
        assert!(position.unwrap().read_seq >= 1);
    }
    let writes = "SELECT (n_tup_ins + n_tup_upd)::bigint FROM pg_stat_user_tables WHERE relname = 'positions'";
    eventually("the statistics are there", async || (1..=2).contains(&count(&stack, writes).await)).await;
}
