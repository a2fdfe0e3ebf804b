//! `/openapi.json`: what it describes is there.

use reqwest::Method;
use serde_json::Value;

use crate::client::Caller;

async fn document() -> Value {
    let nobody = Caller::nobody();
    nobody.send(nobody.request(Method::GET, "/openapi.json")).await.ok(200)
}

#[tokio::test]
async fn every_described_operation_is_there_and_wants_a_token() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let base = document["servers"][0]["url"].as_str().unwrap();
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            let method: Method = method.to_uppercase().parse().unwrap();
            let nobody = Caller::nobody();
            let answer = nobody.send(nobody.request(method, &format!("{base}{}", path.replace("{id}", "demo")))).await;
            assert_eq!(answer.refusal(), (401, "UNAUTHENTICATED".into()), "{path}");
            operations += 1;
        }
    }
    assert_eq!(operations, 34);
}
