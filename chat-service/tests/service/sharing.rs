//! What users share of their presence and typing, who may see it, and when they were seen last.

use proto::{
    chat::{
        ChangeMembersRequest, GetMatchRequest, GetSettingsRequest, GetSharingRequest, HeadsRequest, LastSeen,
        NoteSeenRequest, PutBlockRequest, PutSettingsRequest, Settings, Sharing,
    },
    inbox::{PresenceAnnounced, chat_event::Event, presence_announced::What},
};
use service_kit::bus::Bus;
use tonic::Code;

use crate::support::{Inbox, Replica, Stack, inbox, shared};

async fn started() -> (Stack, Replica, Bus) {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    (stack, replica, bus)
}

async fn sharing(replica: &Replica, user: &str, ids: &[&str]) -> Vec<Sharing> {
    let match_ids = ids.iter().map(ToString::to_string).collect();
    let request = GetSharingRequest { user_id: user.into(), match_ids };
    replica.rpc().get_sharing(request).await.unwrap().into_inner().sharings
}

/// Whom a user sees in the chat `demo`, and since when.
async fn seen(replica: &Replica, user: &str) -> Option<(String, LastSeen)> {
    let shown = sharing(replica, user, &["demo"]).await.remove(0).presence;
    let page = GetMatchRequest { match_id: "demo".into(), user_id: Some(user.into()), ..GetMatchRequest::default() };
    let joined = replica.rpc().get_match(page).await.unwrap().into_inner().sharing.unwrap();
    assert_eq!(joined.presence, shown, "a join shows the same");
    shown.map(|presence| (presence.user_id.clone(), presence.last_seen()))
}

async fn set(replica: &Replica, user: &str, typing: Option<bool>, presence: Option<bool>) -> Settings {
    let request = PutSettingsRequest {
        user_id: user.into(),
        share_typing: typing,
        share_presence: presence,
        by_user: true,
        ..PutSettingsRequest::default()
    };
    replica.rpc().put_settings(request).await.unwrap().into_inner()
}

async fn is_told(inbox: &mut Inbox) -> bool {
    matches!(inbox.rest().await[..], [Event::SharingChanged(_)])
}

#[tokio::test]
async fn each_of_a_pair_sees_the_other_if_both_share_it() {
    let (_, replica, _) = started().await;
    let bob = || Some(("bob".to_owned(), LastSeen::Earlier));
    assert_eq!(seen(&replica, "alice").await, bob());
    for private in ["alice", "bob"] {
        set(&replica, private, None, Some(false)).await;
        assert_eq!((seen(&replica, "alice").await, seen(&replica, "bob").await), (None, None));
        set(&replica, private, None, Some(true)).await;
    }
    assert_eq!(seen(&replica, "alice").await, bob());
    let add = ChangeMembersRequest { match_id: "demo".into(), add: vec!["carol".into()], ..Default::default() };
    replica.rpc().change_members(add).await.unwrap();
    assert_eq!(seen(&replica, "alice").await, None, "a larger group");
}

#[tokio::test]
async fn a_stranger_reads_nothing_and_a_block_hides_all() {
    let (_, replica, _) = started().await;
    assert_eq!(sharing(&replica, "mallory", &["demo", "absent"]).await, []);
    let many = GetSharingRequest { user_id: "alice".into(), match_ids: vec!["m".into(); 101] };
    assert_eq!(replica.rpc().get_sharing(many).await.unwrap_err().code(), Code::InvalidArgument);
    let add = ChangeMembersRequest { match_id: "demo".into(), add: vec!["carol".into()], ..Default::default() };
    replica.rpc().change_members(add).await.unwrap();
    let block = PutBlockRequest { user_id: "alice".into(), blocked_id: "carol".into() };
    replica.rpc().put_block(block).await.unwrap();
    for (user, apart) in [("alice", vec!["carol"]), ("carol", vec!["alice"]), ("bob", vec![])] {
        assert_eq!(sharing(&replica, user, &["demo"]).await[0].apart, apart, "{user}");
        let heads = HeadsRequest { match_ids: vec!["demo".into()], user_id: Some(user.into()), with_members: true };
        assert_eq!(replica.rpc().heads(heads).await.unwrap().into_inner().heads[0].apart, apart, "{user}");
    }
    let block = PutBlockRequest { user_id: "bob".into(), blocked_id: "alice".into() };
    let remove = ChangeMembersRequest { match_id: "demo".into(), remove: vec!["carol".into()], ..Default::default() };
    replica.rpc().change_members(remove).await.unwrap();
    replica.rpc().put_block(block).await.unwrap();
    assert_eq!((seen(&replica, "alice").await, seen(&replica, "bob").await), (None, None));
}

#[tokio::test]
async fn last_seen_is_coarse_and_written_once_in_five_minutes() {
    let (stack, replica, _) = started().await;
    let sql = stack.sql().await;
    let note = async || {
        let user_ids = vec!["bob".to_owned(), "bob".to_owned(), "dave".to_owned()];
        replica.rpc().note_seen(NoteSeenRequest { user_ids }).await.unwrap();
        let rows = sql.query("SELECT xmin::text FROM last_seen ORDER BY user_id", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let first = note().await;
    assert_eq!((first.len(), &note().await), (2, &first), "nothing is written again");
    for (ago, last_seen) in [
        ("0 s", LastSeen::Today),
        ("23 hours", LastSeen::Today),
        ("25 hours", LastSeen::ThisWeek),
        ("167 hours", LastSeen::ThisWeek),
        ("169 hours", LastSeen::Earlier),
    ] {
        let set = format!("UPDATE last_seen SET at = now() - interval '{ago}'");
        sql.batch_execute(&set).await.unwrap();
        assert_eq!(seen(&replica, "alice").await, Some(("bob".to_owned(), last_seen)), "{ago}");
    }
    assert_ne!(note().await, first);
    assert_eq!(seen(&replica, "alice").await, Some(("bob".to_owned(), LastSeen::Today)));
    let many = NoteSeenRequest { user_ids: vec!["u".into(); 1_001] };
    assert_eq!(replica.rpc().note_seen(many).await.unwrap_err().code(), Code::InvalidArgument);
    let bad = NoteSeenRequest { user_ids: vec!["a b".into()] };
    assert_eq!(replica.rpc().note_seen(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_set_is_told_to_ones_own_gateways_and_those_of_watchers() {
    let (_, replica, bus) = started().await;
    let mut own = inbox(&bus, "bob").await;
    let bob = proto::UserId::new("bob").unwrap();
    let mut watchers = bus.subscribe::<PresenceAnnounced>(&bus.subjects().presence(&bob)).await.unwrap();
    bus.flush().await.unwrap();
    let hidden = Settings { share_receipts: true, hides_typing: true, hides_presence: true, locked: false };
    set(&replica, "bob", Some(false), None).await;
    assert_eq!(set(&replica, "bob", None, Some(false)).await, hidden);
    assert_eq!(own.rest().await.len(), 2);
    for _ in 0..2 {
        let (told, _) = watchers.next().await.unwrap();
        assert_eq!(told.what(), What::SharingChanged);
    }
    let get = GetSettingsRequest { user_id: "bob".into() };
    assert_eq!(replica.rpc().get_settings(get).await.unwrap().into_inner(), hidden);
    assert!(sharing(&replica, "bob", &["demo"]).await[0].hides_typing);
    assert!(!sharing(&replica, "alice", &["demo"]).await[0].hides_typing);
    let receipts = PutSettingsRequest { user_id: "bob".into(), share_receipts: Some(false), ..Default::default() };
    assert!(!replica.rpc().put_settings(receipts).await.unwrap().into_inner().share_receipts);
    assert!(own.rest().await.is_empty(), "nothing else has changed for gateways");
    set(&replica, "bob", Some(true), None).await;
    assert!(is_told(&mut own).await);
}
