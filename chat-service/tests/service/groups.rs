//! Groups: who is let in under concurrency, who sees what, and what is the same however often it is asked.

use futures_util::future::join_all;
use proto::{
    chat::{
        Addition, Change, Code, Group, LeaveGroupRequest, ListChangesRequest, ListMessagesRequest, Member, Members,
        PatchMembersRequest, PutBlockRequest, PutMatchRequest, PutMatchResponse, RecordMilestoneRequest, Role,
        change::Kind, change_message_request::Change as Asked, patch_members_response,
    },
    inbox::chat_event::Event,
};
use tonic::{Code as Grpc, Status};

use crate::support::{Replica, change_message, draft, inbox, outcomes, request, send, seqs, shared};

fn member(user: &str, role: Role) -> Member {
    Member { user_id: user.into(), role: role.into() }
}

async fn put(replica: &Replica, id: &str, members: Vec<Member>) -> Result<PutMatchResponse, Status> {
    let group = Some(Group { title: Some("Hikers".into()), members });
    let request = PutMatchRequest { match_id: id.into(), group, ..PutMatchRequest::default() };
    Ok(replica.rpc().put_match(request).await?.into_inner())
}

/// A group of an owner, `owen`, and other members.
async fn group(replica: &Replica, id: &str, members: &[&str]) {
    let members = members.iter().map(|user| member(user, Role::Member));
    let members = std::iter::once(member("owen", Role::Owner)).chain(members).collect();
    assert!(put(replica, id, members).await.unwrap().created);
}

fn adds(id: &str, actor: Option<&str>, users: &[&str], with_history: bool) -> PatchMembersRequest {
    let addition = |user: &&str| Addition { user_id: (*user).into(), role: Role::Member.into(), with_history };
    let add = users.iter().map(addition).collect();
    PatchMembersRequest { match_id: id.into(), add, actor: actor.map(str::to_owned), ..PatchMembersRequest::default() }
}

async fn patch(replica: &Replica, request: PatchMembersRequest) -> Result<Members, Code> {
    match replica.rpc().patch_members(request).await.unwrap().into_inner().result.unwrap() {
        patch_members_response::Result::Members(members) => Ok(members),
        patch_members_response::Result::Failure(failure) => Err(failure.code()),
    }
}

async fn leave(replica: &Replica, id: &str, user: &str) -> Option<Code> {
    let request = LeaveGroupRequest { match_id: id.into(), user_id: user.into() };
    replica.rpc().leave_group(request).await.unwrap().into_inner().failure.map(|failure| failure.code())
}

async fn messages(replica: &Replica, id: &str, user: &str) -> Vec<i64> {
    let (match_id, user_id) = (id.into(), Some(user.into()));
    let page = ListMessagesRequest { match_id, limit: 50, user_id, ..ListMessagesRequest::default() };
    let page = replica.rpc().list_messages(page).await.unwrap().into_inner();
    page.messages.into_iter().map(|message| message.seq).collect()
}

/// By rev, whether the user sees what the change is.
async fn changes(replica: &Replica, id: &str, user: &str) -> Vec<bool> {
    let request = ListChangesRequest { match_id: id.into(), after_rev: 0, limit: 50, user_id: Some(user.into()) };
    let page = replica.rpc().list_changes(request).await.unwrap().into_inner();
    page.changes.into_iter().map(|change| change.kind.is_some()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_made_once_and_refused_when_it_cannot_be() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    let all = || vec![member("owen", Role::Owner), member("amy", Role::Admin)];
    let both = tokio::join!(put(&replica, "g", all()), put(&replica, "g", all()));
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert!(one.created != other.created && one.r#match == other.r#match);
    assert_eq!(one.r#match.unwrap().group.unwrap().members, [all()[1].clone(), all()[0].clone()]);
    for refused in [
        vec![member("owen", Role::Owner), member("amy", Role::Owner)],
        vec![all()[0].clone(), member("x", Role::Admin)],
    ] {
        assert_eq!(put(&replica, "g", refused).await.unwrap_err().code(), Grpc::FailedPrecondition);
    }
    let many = (0..257).map(|n| member(&format!("u{n}"), Role::Owner)).collect();
    assert_eq!(put(&replica, "h", many).await.unwrap().failure.unwrap().code(), Code::GroupFull);
    for malformed in [vec![], all()[..1].to_vec(), vec![all()[0].clone(), all()[0].clone()], all()[1..].to_vec()] {
        assert_eq!(put(&replica, "h", malformed).await.unwrap_err().code(), Grpc::InvalidArgument);
    }
    assert_eq!(patch(&replica, adds("h", None, &["x"], false)).await, Err(Code::MatchNotFound), "nothing was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_who_are_added_at_once_through_two_replicas_ten_find_the_last_ten_places() {
    let stack = shared().await.stack().await;
    let replicas = [stack.replica().await, stack.replica().await];
    let names: Vec<String> = (0..245).map(|n| format!("u{n}")).collect();
    group(&replicas[0], "g", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let added = (0..50).map(|n| {
        let replica = &replicas[n % 2];
        async move { patch(replica, adds("g", None, &[&format!("n{n}")], false)).await }
    });
    let added = join_all(added).await;
    assert_eq!(added.iter().filter(|one| one.is_ok()).count(), 10);
    assert!(added.iter().all(|one| one.is_ok() || *one == Err(Code::GroupFull)));
    assert_eq!(replicas[1].get("g").await.members.len(), 256);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_adds_twenty_a_day_in_whatever_groups_at_once() {
    let stack = shared().await.stack().await;
    let replicas = [stack.replica().await, stack.replica().await];
    let names: Vec<String> = (0..30).map(|n| format!("f{n}")).collect();
    for name in &names {
        replicas[0].put_members(&format!("p-{name}"), ["owen", name]).await.unwrap();
    }
    for id in ["a", "b", "c"] {
        group(&replicas[0], id, &["mia"]).await;
    }
    let users = |part: std::ops::Range<usize>| names[part].iter().map(String::as_str).collect::<Vec<_>>();
    let asked = |id, part| adds(id, Some("owen"), &users(part), false);
    let (one, other) = tokio::join!(patch(&replicas[0], asked("a", 0..12)), patch(&replicas[1], asked("b", 12..24)));
    assert_eq!([&one, &other].iter().filter(|done| done.is_ok()).count(), 1, "{one:?} {other:?}");
    assert!([&one, &other].contains(&&Err(Code::RateLimited)));
    assert!(patch(&replicas[0], asked("c", 0..8)).await.is_ok());
    assert_eq!(patch(&replicas[1], asked("c", 8..9)).await, Err(Code::RateLimited));
    assert!(patch(&replicas[1], asked("c", 0..8)).await.is_ok(), "nobody of them is new");
}

#[tokio::test]
async fn nobody_is_added_past_a_block_or_by_somebody_who_does_not_know_them() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    group(&replica, "g", &["mia"]).await;
    let add = async |user: &str| patch(&replica, adds("g", Some("owen"), &[user], false)).await.map(|_| ());
    assert_eq!(add("zoe").await, Err(Code::Forbidden));
    group(&replica, "h", &["zoe"]).await;
    assert_eq!(add("zoe").await, Err(Code::Forbidden), "a common group is no pair");
    replica.put_members("p", ["owen", "zoe"]).await.unwrap();
    let block = |by: &str, other: &str| PutBlockRequest { user_id: by.into(), blocked_id: other.into() };
    replica.rpc().put_block(block("zoe", "mia")).await.unwrap();
    assert_eq!(add("zoe").await, Err(Code::Forbidden));
    let back = proto::chat::DeleteBlockRequest { user_id: "zoe".into(), blocked_id: "mia".into() };
    replica.rpc().delete_block(back).await.unwrap();
    assert_eq!(add("zoe").await, Ok(()));
    assert_eq!(replica.get("h").await.closed_at_ms, None);
    replica.rpc().put_block(block("owen", "zoe")).await.unwrap();
    assert_eq!(replica.get("h").await.closed_at_ms, None, "a block closes no group, also of two");
    assert!(replica.get("p").await.closed_at_ms.is_some());
    for (id, actor) in [("g", "mallory"), ("none", "mallory"), ("none", "owen")] {
        assert_eq!(patch(&replica, adds(id, Some(actor), &["x"], false)).await, Err(Code::MatchNotFound));
    }
}

#[tokio::test]
async fn who_comes_without_the_history_is_told_and_shown_what_is_behind_its_coming() {
    let stack = shared().await.stack().await;
    let (replica, other, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    group(&replica, "g", &["mia"]).await;
    send(&bus, &request("g", "owen", vec![draft("a", "1"), draft("b", "2")])).await;
    let like = || Asked::React(proto::chat::change_message_request::React { emoji: "👍".into(), on: true });
    assert_eq!(change_message(&replica, ("g", "mia", 1), None, like()).await, Ok((1, false)));
    let (mut ned, mut all) = (inbox(&bus, "ned").await, inbox(&bus, "all").await);
    let made = patch(&other, adds("g", None, &["ned"], false)).await.unwrap();
    assert_eq!((made.rev, made.after_seq), (2, 2));
    patch(&other, adds("g", None, &["all"], true)).await.unwrap();
    send(&bus, &request("g", "owen", vec![draft("c", "3"), draft("a", "1")])).await;
    let edit = |text: &str| Asked::Edit(format!("\"{text}\""));
    assert_eq!(change_message(&replica, ("g", "owen", 2), None, edit("deux")).await, Ok((4, false)));
    assert_eq!(change_message(&replica, ("g", "owen", 3), None, edit("trois")).await, Ok((5, false)));

    let heard = |events: Vec<Event>| -> Vec<(i64, Option<i64>)> {
        let what = |event| match event {
            Event::MessagesPosted(posted) => {
                posted.messages.into_iter().map(|message| (0, Some(message.seq))).collect()
            }
            Event::MatchChanged(changed) => match changed.change.unwrap() {
                Change { rev, kind: Some(Kind::Edited(edited)), .. } => vec![(rev, Some(edited.seq))],
                Change { rev, .. } => vec![(rev, None)],
            },
            other => panic!("{other:?}"),
        };
        events.into_iter().flat_map(what).collect()
    };
    let mut of_ned = heard(ned.rest().await);
    of_ned.sort_unstable();
    assert_eq!(
        of_ned,
        [(0, Some(3)), (2, None), (3, None), (4, None), (5, Some(3))],
        "no repeat of the first, no edit of the second"
    );
    let mut of_all = heard(all.rest().await);
    of_all.sort_unstable();
    assert_eq!(of_all[..], [(0, Some(3)), (3, None), (4, Some(2)), (5, Some(3))]);

    assert_eq!((messages(&replica, "g", "ned").await, messages(&other, "g", "all").await), (vec![3], vec![1, 2, 3]));
    assert_eq!(changes(&replica, "g", "ned").await, [false, true, true, false, true]);
    assert_eq!(changes(&replica, "g", "all").await, [true; 5]);
    for (seq, asked) in [(1, like()), (2, edit("x"))] {
        assert_eq!(change_message(&replica, ("g", "ned", seq), None, asked).await, Err(Code::MessageNotFound));
    }
    let answer = proto::chat::Draft { reply_to: Some(2), ..draft("d", "4") };
    assert_eq!(outcomes(&send(&bus, &request("g", "ned", vec![answer.clone()])).await), [Err(Code::MessageNotFound)]);
    assert_eq!(seqs(&send(&bus, &request("g", "all", vec![answer])).await), [4]);
}

#[tokio::test]
async fn who_has_left_is_told_so_for_ever_and_who_was_removed_what_a_stranger_is() {
    let stack = shared().await.stack().await;
    let (replica, other, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    group(&replica, "g", &["mia", "ned"]).await;
    assert_eq!(leave(&replica, "g", "owen").await, None);
    for replica in [&replica, &other] {
        assert_eq!(leave(replica, "g", "owen").await, None);
        assert_eq!(leave(replica, "g", "mallory").await, Some(Code::MatchNotFound));
        assert_eq!(leave(replica, "none", "mallory").await, Some(Code::MatchNotFound));
    }
    let remove = |user: &str| PatchMembersRequest { remove: vec![user.into()], ..adds("g", None, &[], false) };
    let left = patch(&other, remove("ned")).await.unwrap();
    assert_eq!(left.members, [member("mia", Role::Owner)]);
    assert_eq!(leave(&replica, "g", "ned").await, Some(Code::MatchNotFound));
    assert_eq!(patch(&replica, remove("mia")).await, Err(Code::InvalidPayload), "somebody stays");
    assert_eq!(leave(&replica, "g", "mia").await, None);
    assert!(replica.get("g").await.closed_at_ms.is_some());
    assert_eq!(outcomes(&send(&bus, &request("g", "mia", vec![draft("a", "1")])).await), [Err(Code::MatchNotFound)]);
    assert_eq!(patch(&replica, adds("g", None, &["zoe"], false)).await, Err(Code::MatchClosed));
}

#[tokio::test]
async fn a_milestone_of_the_other_kind_is_not_recorded() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put_members("pair", ["owen", "mia"]).await.unwrap();
    group(&replica, "g", &["mia"]).await;
    let record = async |id: &str, of_groups| {
        let (match_id, milestone_id, threshold) = (id.to_owned(), "first".to_owned(), 1);
        let request = RecordMilestoneRequest { match_id, milestone_id, threshold, unlocks: vec![], of_groups };
        let done = replica.rpc().record_milestone(request).await.unwrap().into_inner();
        (done.recorded, done.other_kind)
    };
    for id in ["pair", "g"] {
        send(&bus, &request(id, "owen", vec![draft("a", "1")])).await;
    }
    assert_eq!([record("pair", true).await, record("g", false).await], [(false, true); 2]);
    assert_eq!([record("pair", false).await, record("g", true).await], [(true, false); 2]);
}
