//! A page says how far it is complete, so that whoever reads on knows a hole from what is still to come.

use proto::chat::{ListMessagesRequest, ListMessagesResponse, list_messages_request::Position};

use crate::support::{Replica, draft, request, send, shared};

async fn page(replica: &Replica, position: Option<Position>, limit: i32) -> ListMessagesResponse {
    let request = ListMessagesRequest {
        match_id: "demo".into(),
        position,
        limit,
        user_id: None,
        ..ListMessagesRequest::default()
    };
    replica.rpc().list_messages(request).await.unwrap().into_inner()
}

/// The seqs of a page after a seq, whether more follow, and how far it is complete.
async fn after(replica: &Replica, seq: i64, limit: i32) -> (Vec<i64>, bool, Option<i64>) {
    let page = page(replica, Some(Position::After(seq)), limit).await;
    (page.messages.iter().map(|message| message.seq).collect(), page.has_more, page.through_seq)
}

#[tokio::test]
async fn a_page_after_a_seq_is_complete_up_to_its_last_message_or_to_the_head() {
    let stack = shared().await.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    replica.put("demo").await;
    assert_eq!(after(&replica, 0, 3).await, (vec![], false, Some(0)));
    let drafts = (1..=10).map(|n| draft(&format!("c{n}"), &n.to_string())).collect();
    send(&bus, &request("demo", "alice", drafts)).await;
    assert_eq!(after(&replica, 0, 3).await, (vec![1, 2, 3], true, Some(3)));
    assert_eq!(after(&replica, 7, 3).await, (vec![8, 9, 10], false, Some(10)));
    assert_eq!(after(&replica, 10, 3).await, (vec![], false, Some(10)));
    sql.batch_execute("DELETE FROM messages WHERE seq IN (1, 5, 6, 10)").await.unwrap();
    assert_eq!(after(&replica, 0, 3).await, (vec![2, 3, 4], true, Some(4)));
    assert_eq!(after(&replica, 4, 3).await, (vec![7, 8, 9], false, Some(10)));
    assert_eq!(after(&replica, 9, 3).await, (vec![], false, Some(10)));
    sql.batch_execute("DELETE FROM messages").await.unwrap();
    assert_eq!(after(&replica, 0, 3).await, (vec![], false, Some(10)));
}

#[tokio::test]
async fn other_pages_pass_holes_and_say_nothing_of_how_far_they_are_complete() {
    let stack = shared().await.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    replica.put("demo").await;
    let drafts = (1..=6).map(|n| draft(&format!("c{n}"), &n.to_string())).collect();
    send(&bus, &request("demo", "alice", drafts)).await;
    sql.batch_execute("DELETE FROM messages WHERE seq IN (3, 6)").await.unwrap();
    for (position, seqs, has_more) in [(None, [4, 5], true), (Some(Position::Before(4)), [1, 2], false)] {
        let page = page(&replica, position, 2).await;
        assert_eq!(page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), seqs);
        assert_eq!((page.has_more, page.through_seq), (has_more, None));
    }
}

#[tokio::test]
async fn a_match_that_does_not_exist_has_no_page() {
    let replica = shared().await.stack().await.replica().await;
    let request = ListMessagesRequest {
        match_id: "absent".into(),
        position: Some(Position::After(0)),
        limit: 3,
        user_id: None,
        ..ListMessagesRequest::default()
    };
    assert_eq!(replica.rpc().list_messages(request).await.unwrap_err().code(), tonic::Code::NotFound);
}
