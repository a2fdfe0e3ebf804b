//! Web pages: those of the allowed origins may call, others cannot read the answer.

use reqwest::Method;

use crate::client::{Answer, Caller};

async fn preflight(origin: &str) -> Answer {
    let nobody = Caller::nobody();
    let request = nobody
        .request(Method::OPTIONS, "/api/v1/matches/demo/messages")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-socket-id");
    nobody.send(request).await
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call() {
    let answer = preflight("http://localhost:3000").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
    assert!(answer.header("access-control-allow-methods").contains("DELETE"));
    assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type,x-socket-id");

    // Failures too can be read.
    let nobody = Caller::nobody();
    let request = nobody.request(Method::GET, "/api/v1/matches").header("origin", "http://localhost:3000");
    let answer = nobody.send(request).await;
    assert_eq!(answer.refusal(), (401, "UNAUTHENTICATED".into()));
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(answer.header("vary"), "Origin");
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_permission() {
    for origin in ["http://evil.example", "https://localhost.evil.example", "http://localhost.evil:3000", "null"] {
        let answer = preflight(origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(answer.header("access-control-allow-headers"), "", "{origin}");
    }
}
