//! Matches whose members change: who may do what then, and who hears what.

use proto::{
    chat::{
        Action, Change, ChangeMembersRequest, ChangeMembersResponse, CloseMatchRequest, Code, GetMatchRequest,
        GetMatchResponse, HeadsRequest, ListChangesRequest, ListMessagesRequest, Membership, change::Kind,
    },
    inbox::chat_event::Event,
};
use tonic::{Code as Grpc, Status};

use crate::support::{Replica, draft, inbox, outcomes, places, request, send, seqs, shared};

fn request_change(id: &str, (add, remove): (&[&str], &[&str])) -> ChangeMembersRequest {
    let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect();
    ChangeMembersRequest {
        match_id: id.into(),
        add: names(add),
        remove: names(remove),
        ..ChangeMembersRequest::default()
    }
}

async fn change(replica: &Replica, id: &str, of: (&[&str], &[&str])) -> ChangeMembersResponse {
    replica.rpc().change_members(request_change(id, of)).await.unwrap().into_inner()
}

/// The seq of a message, or who came and who went.
type Heard = Result<i64, (Vec<String>, Vec<String>)>;

fn heard(events: Vec<Event>) -> Vec<Heard> {
    let what = |event| match event {
        Event::MessagesPosted(posted) => posted.messages.iter().map(|message| Ok(message.seq)).collect(),
        Event::MatchChanged(changed) => match changed.change.unwrap().kind.unwrap() {
            Kind::Membership(Membership { added, removed, .. }) => vec![Err((added, removed))],
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    events.into_iter().flat_map(what).collect()
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
    let (replica, other, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    let (mut bob, mut carol) = (inbox(&bus, "bob").await, inbox(&bus, "carol").await);
    replica.put("demo").await;
    assert_eq!(seqs(&send(&bus, &request("demo", "alice", vec![draft("a", "1")])).await), [1]);
    assert_eq!(seqs(&send(&bus, &request("demo", "bob", vec![draft("b", "2")])).await), [2]);
    assert_eq!(bob.messages(2).await.len(), 2);
    change(&other, "demo", (&["carol"], &["bob"])).await;

    // A replica remembers bob as a member.
    let results = outcomes(&send(&bus, &request("demo", "bob", vec![draft("c", "3"), draft("b", "2")])).await);
    assert_eq!(results, [Err(Code::MatchNotFound), Err(Code::MatchNotFound)]);
    assert_eq!(seqs(&send(&bus, &request("demo", "alice", vec![draft("d", "4"), draft("a", "1")])).await), [3, 1]);
    assert_eq!(seqs(&send(&bus, &request("demo", "carol", vec![draft("e", "5")])).await), [4]);
    assert_eq!(carol.messages(2).await.iter().map(|message| message.seq).collect::<Vec<_>>(), [3, 4]);
    let rest = bob.rest().await;
    assert!(matches!(rest[..], [Event::MatchChanged(_)]), "who was removed hears nothing more: {rest:?}");
}

#[tokio::test]
async fn members_that_change_between_the_requests_of_a_batch_are_read_anew_for_all() {
    let stack = shared().await.stack().await;
    let ([first, other], bus) = ([stack.replica().await, stack.replica().await], stack.bus().await);
    first.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "1")])).await;
    change(&other, "demo", (&["carol"], &["bob"])).await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|sender| request("demo", sender, vec![draft("x", "2")]));
    let (alice, bob, carol) = tokio::join!(send(&bus, &alice), send(&bus, &bob), send(&bus, &carol));
    assert_eq!(outcomes(&bob), [Err(Code::MatchNotFound)]);
    let mut stored = [seqs(&alice), seqs(&carol)].concat();
    stored.sort_unstable();
    assert_eq!(stored, [2, 3]);
    assert_eq!((first.get("demo").await.members_rev, other.get("demo").await.last_seq), (1, 3));
}

#[tokio::test]
async fn who_was_removed_reads_what_a_stranger_reads() {
    let stack = shared().await.stack().await;
    let (replica, other, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "bob", vec![draft("a", "1")])).await;
    let reads = async |id: &str, user: &str| {
        let (match_id, user_id) = (id.to_owned(), Some(user.to_owned()));
        let mut rpc = replica.rpc();
        let page =
            ListMessagesRequest { match_id, position: None, limit: 9, user_id, ..ListMessagesRequest::default() };
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
    change(&other, "demo", (&["carol"], &["bob"])).await;
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

#[tokio::test]
async fn a_change_of_members_is_told_to_those_of_before_and_since_between_their_messages() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let [mut alice, mut bob, mut carol] =
        [inbox(&bus, "alice").await, inbox(&bus, "bob").await, inbox(&bus, "carol").await];
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "1")])).await;
    let members = ["alice", "carol"].map(str::to_owned).to_vec();
    let changed = ChangeMembersResponse { rev: 1, after_seq: 1, members };
    assert_eq!(change(&replica, "demo", (&["carol"], &["bob"])).await, changed);
    send(&bus, &request("demo", "alice", vec![draft("b", "2")])).await;
    let membership = || Err((vec!["carol".to_owned()], vec!["bob".to_owned()]));
    assert_eq!(heard(alice.rest().await), [Ok(1), membership(), Ok(2)]);
    assert_eq!(heard(bob.rest().await), [Ok(1), membership()]);
    assert_eq!(heard(carol.rest().await), [membership(), Ok(2)]);

    // A repeat changes nothing and tells nobody, also when it expects what was there before.
    let again = ChangeMembersRequest { expected_rev: Some(0), ..request_change("demo", (&["carol"], &["bob"])) };
    assert_eq!(replica.rpc().change_members(again).await.unwrap().into_inner(), changed);
    assert_eq!(carol.rest().await, []);
    let asked = ListChangesRequest { match_id: "demo".into(), limit: 9, ..ListChangesRequest::default() };
    let logged = replica.rpc().list_changes(asked).await.unwrap().into_inner().changes;
    let (added, removed) = (vec!["carol".to_owned()], vec!["bob".to_owned()]);
    let kind = Some(Kind::Membership(Membership { added, removed, actor: None, ..Membership::default() }));
    let created_at_ms = logged[0].created_at_ms;
    assert_eq!(logged, [Change { rev: 1, after_seq: 1, created_at_ms, kind }]);
}

#[tokio::test]
async fn a_change_of_members_that_cannot_be_is_refused_and_changes_nothing() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    replica.put("demo").await;
    replica.put("closed").await;
    replica.rpc().close_match(CloseMatchRequest { match_id: "closed".into() }).await.unwrap();
    let refused = async |request: ChangeMembersRequest| replica.rpc().change_members(request).await.unwrap_err().code();
    let carol: (&[&str], &[&str]) = (&["carol"], &[]);
    let stale = ChangeMembersRequest { expected_rev: Some(7), ..request_change("demo", carol) };
    let many: Vec<String> = (0..501).map(|number| format!("u{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(refused(stale).await, Grpc::Aborted);
    assert_eq!(refused(request_change("none", carol)).await, Grpc::NotFound);
    assert_eq!(refused(request_change("closed", carol)).await, Grpc::FailedPrecondition);
    assert_eq!(refused(request_change("demo", (&[], &["alice", "bob"]))).await, Grpc::FailedPrecondition);
    for malformed in [(&many[..], &[][..]), (&["carol"], &["carol"]), (&["carol", "carol"], &[]), (&["a.b"], &[])] {
        assert_eq!(refused(request_change("demo", malformed)).await, Grpc::InvalidArgument);
    }
    for batch in [&many[..400], &many[100..500]] {
        change(&replica, "demo", (batch, &[])).await;
    }
    let more: Vec<String> = (0..499).map(|number| format!("v{number}")).collect();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    assert_eq!(refused(request_change("demo", (&more, &[]))).await, Grpc::ResourceExhausted);
    let found = replica.get("demo").await;
    assert_eq!((found.members.len(), found.rev, found.members_rev), (502, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_while_all_send() {
    let stack = shared().await.stack().await;
    let ([one, two], bus) = ([stack.replica().await, stack.replica().await], stack.bus().await);
    one.put("demo").await;
    let (mut alice, mut carol) = (inbox(&bus, "alice").await, inbox(&bus, "carol").await);
    let sends = async {
        for number in 0..60 {
            assert_eq!(
                seqs(&send(&bus, &request("demo", "alice", vec![draft(&number.to_string(), "x")])).await),
                [number + 1]
            );
        }
    };
    let changes = async {
        for round in 0..10 {
            let replica = if round % 2 == 0 { &one } else { &two };
            change(replica, "demo", (&["carol"], &[])).await;
            change(replica, "demo", (&[], &["carol"])).await;
        }
    };
    tokio::join!(sends, changes);
    // What two replicas tell may change places on the way; its numbers say where it belongs.
    let mut seen = [alice.rest().await, carol.rest().await].map(|events| {
        let mut places: Vec<_> = events.into_iter().flat_map(places).collect();
        places.sort_unstable();
        places
    });
    let [alice, carol] = &mut seen;
    let messages = alice.iter().filter(|place| place.1 == 0).map(|place| place.0);
    assert_eq!(messages.collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    // Carol comes with every odd change and goes with every even one, and hears what lies between.
    let mut is_member = false;
    alice.retain(|(_, rev)| {
        is_member = if *rev == 0 { is_member } else { rev % 2 == 1 };
        *rev > 0 || is_member
    });
    assert_eq!(alice, carol);
}
