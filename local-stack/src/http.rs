//! One HTTP request to a port of this machine, without a client library.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// The status code and the body, headers left out.
pub(crate) type Answer = (u16, String);

/// A JSON request with a bearer token.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: &'a str,
    pub(crate) body: &'a str,
}

/// Sends the request to 127.0.0.1 and reads to the end of the connection.
pub(crate) async fn send(port: u16, request: &Request<'_>) -> Result<Answer> {
    let text = timeout(PATIENCE, exchange(port, request)).await.context("no answer")??;
    parse(&text).context("not an HTTP answer")
}

async fn exchange(port: u16, Request { method, path, token, body }: &Request<'_>) -> Result<String> {
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_taken_from_an_answer() {
        let answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(answer), Some((409, "{}".to_owned())));
        assert_eq!(parse("SSH-2.0\r\n\r\n"), None);
    }
}
