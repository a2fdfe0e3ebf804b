//! History: pages in both directions, always ascending.

use serde_json::Value;

use crate::client::{Caller, Pair};

fn seqs(page: &Value) -> (Vec<i64>, bool) {
    let messages = page["messages"].as_array().unwrap();
    (messages.iter().map(|message| message["seq"].as_i64().unwrap()).collect(), page["hasMore"].as_bool().unwrap())
}

#[tokio::test]
async fn pages_lead_back_and_forth() {
    let pair = Pair::create().await;
    pair.fill(7).await;
    let page = async |query: &str| seqs(&pair.bob.get(&pair.path(&format!("/messages{query}"))).await.ok(200));
    assert_eq!(page("").await, ((1..=7).collect(), false));
    assert_eq!(page("?limit=3").await, (vec![5, 6, 7], true));
    assert_eq!(page("?limit=3&before=5").await, (vec![2, 3, 4], true));
    assert_eq!(page("?limit=3&before=2").await, (vec![1], false));
    assert_eq!(page("?before=1").await, (vec![], false));
    assert_eq!(page("?limit=3&after=0").await, (vec![1, 2, 3], true));
    assert_eq!(page("?limit=3&after=4").await, (vec![5, 6, 7], false));
    assert_eq!(page("?after=7").await, (vec![], false));
    assert_eq!(page("?after=1000").await, (vec![], false));
}

#[tokio::test]
async fn a_malformed_query_is_refused() {
    let pair = Pair::create().await;
    let queries = [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "before=1&after=1",
        "before=-1",
        "after=1.5",
        "before=99999999999999999999",
        "before=",
    ];
    for query in queries {
        let answer = pair.alice.get(&pair.path(&format!("/messages?{query}"))).await;
        assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()), "{query}");
    }
    for query in ["limit=0", "limit=201", "after=a.b", "after="] {
        let answer = Caller::user("alice").get(&format!("/matches?{query}")).await;
        assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()), "{query}");
    }
}

#[tokio::test]
async fn paging_too_fast_is_refused() {
    let pair = Pair::create().await;
    let mut refusals = 0;
    for _ in 0..30 {
        let answer = pair.alice.get(&pair.path("/messages")).await;
        if answer.status != 200 {
            assert_eq!(answer.refusal(), (429, "RATE_LIMITED".into()));
            refusals += 1;
        }
    }
    assert!(refusals > 0);
}
