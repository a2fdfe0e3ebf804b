//! Matches whose members change: who may do what then, and who hears what.

use proto::chat::{
    Action, Code, GetMatchRequest, GetMatchResponse, HeadsRequest, ListChangesRequest, ListMessagesRequest,
};
use tonic::Status;

use crate::support::{Replica, Stack, draft, inbox, outcomes, request, send, seqs, shared};

/// Changes the members as a COMMIT of a service does it.
async fn change(stack: &Stack, id: &str, (added, removed): (&str, &str)) {
    let mut client = stack.sql().await;
    let transaction = client.transaction().await.unwrap();
    for sql in [
        "UPDATE matches SET rev = rev + 1, members_rev = rev + 1 WHERE match_id = $1",
        "INSERT INTO changes (match_id, rev, kind, after_seq, created_at)
         SELECT match_id, rev, 'membership', last_seq, now() FROM matches WHERE match_id = $1",
    ] {
        transaction.execute(sql, &[&id]).await.unwrap();
    }
    for table in ["members", "user_matches"] {
        let insert = format!("INSERT INTO {table} (match_id, user_id) VALUES ($1, $2)");
        transaction.execute(&insert, &[&id, &added]).await.unwrap();
        let delete = format!("DELETE FROM {table} WHERE match_id = $1 AND user_id = $2");
        transaction.execute(&delete, &[&id, &removed]).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Why somebody may not do something in a match: what a member is refused, or what is told of the match itself.
async fn refusal(replica: &Replica, (id, user): (&str, &str), action: Action) -> Result<Option<Code>, (i32, String)> {
    let (match_id, user_id) = (id.to_owned(), Some(user.to_owned()));
    let asked = GetMatchRequest { match_id, user_id, action: action.into(), ..GetMatchRequest::default() };
    let found = replica.rpc().get_match(asked).await.map_err(|status| told(&status))?.into_inner();
    let GetMatchResponse { refused, .. } = found;
    Ok(refused.map(|code| Code::try_from(code).unwrap()))
}

fn told(status: &Status) -> (i32, String) {
    (status.code().into(), status.message().to_owned())
}

#[tokio::test]
async fn a_send_that_was_judged_by_former_members_is_judged_anew_by_its_commit() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let (mut bob, mut carol) = (inbox(&bus, "bob").await, inbox(&bus, "carol").await);
    replica.put("demo").await;
    assert_eq!(seqs(&send(&bus, &request("demo", "alice", vec![draft("a", "1")])).await), [1]);
    assert_eq!(seqs(&send(&bus, &request("demo", "bob", vec![draft("b", "2")])).await), [2]);
    assert_eq!(bob.messages(2).await.len(), 2);
    change(&stack, "demo", ("carol", "bob")).await;

    // The replica remembers bob as a member.
    let results = outcomes(&send(&bus, &request("demo", "bob", vec![draft("c", "3"), draft("b", "2")])).await);
    assert_eq!(results, [Err(Code::MatchNotFound), Err(Code::MatchNotFound)]);
    assert_eq!(seqs(&send(&bus, &request("demo", "alice", vec![draft("d", "4"), draft("a", "1")])).await), [3, 1]);
    assert_eq!(seqs(&send(&bus, &request("demo", "carol", vec![draft("e", "5")])).await), [4]);
    assert_eq!(carol.messages(2).await.iter().map(|message| message.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(bob.rest().await, [], "who was removed hears nothing more");
}

#[tokio::test]
async fn members_that_change_between_the_requests_of_a_batch_are_read_anew_for_all() {
    let stack = shared().await.stack().await;
    let ([first, second], bus) = ([stack.replica().await, stack.replica().await], stack.bus().await);
    first.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "1")])).await;
    change(&stack, "demo", ("carol", "bob")).await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|sender| request("demo", sender, vec![draft("x", "2")]));
    let (alice, bob, carol) = tokio::join!(send(&bus, &alice), send(&bus, &bob), send(&bus, &carol));
    assert_eq!(outcomes(&bob), [Err(Code::MatchNotFound)]);
    let mut stored = [seqs(&alice), seqs(&carol)].concat();
    stored.sort_unstable();
    assert_eq!(stored, [2, 3]);
    assert_eq!((first.get("demo").await.members_rev, second.get("demo").await.last_seq), (1, 3));
}

#[tokio::test]
async fn who_was_removed_reads_what_a_stranger_reads() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "bob", vec![draft("a", "1")])).await;
    let reads = async |id: &str, user: &str| {
        let (match_id, user_id) = (id.to_owned(), Some(user.to_owned()));
        let mut rpc = replica.rpc();
        let page = ListMessagesRequest { match_id, position: None, limit: 9, user_id };
        let page =
            rpc.list_messages(page).await.map(|page| page.into_inner().messages.len()).map_err(|status| told(&status));
        let (match_id, user_id) = (id.to_owned(), Some(user.to_owned()));
        let changes = ListChangesRequest { match_id, after_rev: 0, limit: 9, user_id };
        let changes =
            rpc.list_changes(changes).await.map(|page| page.into_inner().changes.len()).map_err(|status| told(&status));
        let heads = HeadsRequest { match_ids: vec![id.into()], with_members: true, user_id: Some(user.into()) };
        let heads = rpc.heads(heads).await.unwrap().into_inner().heads.len();
        (refusal(&replica, (id, user), Action::Read).await, page, changes, heads)
    };
    assert_eq!(reads("demo", "bob").await, (Ok(None), Ok(1), Ok(0), 1));
    assert_eq!(reads("demo", "carol").await, reads("none", "carol").await);
    change(&stack, "demo", ("carol", "bob")).await;
    assert_eq!(reads("demo", "bob").await, reads("none", "bob").await);
    assert_eq!(reads("demo", "carol").await, (Ok(None), Ok(1), Ok(1), 1));
}

#[tokio::test]
async fn only_two_members_of_an_open_match_may_call() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    replica.put("pair").await;
    replica.put_members("group", ["alice", "bob", "carol"]).await.unwrap();
    let call = async |id, user| refusal(&replica, (id, user), Action::Call).await;
    assert_eq!(call("pair", "alice").await, Ok(None));
    assert_eq!(call("group", "alice").await, Ok(Some(Code::CallStateConflict)));
    assert_eq!(refusal(&replica, ("group", "alice"), Action::Send).await, Ok(None));
    assert_eq!(call("group", "mallory").await, call("none", "mallory").await);
}

#[tokio::test]
async fn all_members_of_a_large_match_hear_what_one_of_them_says() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let names: Vec<String> = (0..256).map(|number| format!("member-{number}")).collect();
    replica
        .put_members("crowd", <[&str; 256]>::try_from(names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap())
        .await
        .unwrap();
    let (mut first, mut last) = (inbox(&bus, &names[0]).await, inbox(&bus, &names[255]).await);
    assert_eq!(seqs(&send(&bus, &request("crowd", &names[7], vec![draft("a", "1")])).await), [1]);
    assert_eq!((first.messages(1).await.len(), last.messages(1).await.len()), (1, 1));
}
