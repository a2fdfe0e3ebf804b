//! The accept loop of the health port: one request a connection, few connections, none for long.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_service::Service;

use crate::host;

/// Connections at once; later ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// Time for a request's headers to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a request and its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` for ever. Dropping it closes its connections.
pub(super) async fn accept(listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    // A prober that takes too long has given up.
                    let _ = timeout(CONNECTION_TIMEOUT, connection(stream, router)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the health port cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let service = service_fn(|request: Request<Incoming>| answer(request, router.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Errors here are the prober's: a broken or malformed request.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, mut router: Router) -> Result<Response<Body>, std::convert::Infallible> {
    if host::is_valid(request.version(), request.headers()) {
        return router.call(request.map(Body::new)).await;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn served(request: &str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            () = accept(listener, Router::new().route("/x", get(|| async { "here" }))) => unreachable!(),
            answer = asking => answer,
        }
    }

    #[tokio::test]
    async fn a_connection_has_one_answer_and_ends() {
        let answer = served("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhere"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }

    #[tokio::test]
    async fn a_request_without_its_host_is_malformed_unless_it_is_of_http_1_0() {
        assert!(served("GET /x HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        assert!(served("GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        assert!(served("GET /x HTTP/1.0\r\n\r\n").await.contains(" 200 "));
    }

    #[tokio::test]
    async fn half_a_request_does_not_keep_its_connection() {
        tokio::time::pause();
        let answer = served("GET /x HTTP/1.1\r\nHo").await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}
