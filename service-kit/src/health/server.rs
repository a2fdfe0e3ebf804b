//! The accept loop of the health port: one request a connection, few connections, none for long.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tower_service::Service;

use crate::host;

/// Connections at once; a further one takes the place of the oldest, so that idle ones keep no probe waiting.
const CONNECTIONS: usize = 64;
/// Time for a request's headers to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a request and its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` for ever. Dropping it closes its connections.
pub(super) async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        open.retain(|connection| !connection.is_finished());
        match accepted {
            Ok((stream, _)) => {
                if open.len() >= CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(connections.spawn(connection(stream, router.clone())));
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
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Errors here are the prober's: a broken or malformed request. One that takes too long has given up.
    let _ = timeout(CONNECTION_TIMEOUT, serving).await;
}

async fn answer(request: Request<Incoming>, mut router: Router) -> Result<Response<Body>, Infallible> {
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
    async fn idle_connections_keep_no_probe_waiting() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asking = async {
            let mut idle = Vec::new();
            for _ in 0..3 * CONNECTIONS {
                idle.push(TcpStream::connect(address).await.unwrap());
            }
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /x HTTP/1.0\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            timeout(HEADER_TIMEOUT / 2, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            answer
        };
        tokio::select! {
            () = accept(listener, Router::new().route("/x", get(|| async { "here" }))) => unreachable!(),
            answer = asking => assert!(answer.ends_with("here"), "{answer}"),
        }
    }

    #[tokio::test]
    async fn half_a_request_does_not_keep_its_connection() {
        tokio::time::pause();
        let answer = served("GET /x HTTP/1.1\r\nHo").await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}
