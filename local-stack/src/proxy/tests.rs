//! Links to an echo server on a real port.

use tokio::time::{Instant, timeout};

use super::*;

const SOON: Duration = Duration::from_secs(10);
/// Long enough for bytes that pass to have passed.
const A_MOMENT: Duration = Duration::from_millis(100);

struct Echo {
    port: u16,
    _task: JoinSet<()>,
}

async fn echo() -> Echo {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Echo { port, _task: task }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    hear(stream, text.len()).await
}

async fn hear(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut heard = vec![0; count];
    timeout(SOON, stream.read_exact(&mut heard)).await??;
    Ok(heard)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end() {
    let server = echo().await;
    let proxy = Proxy::start(server.port).unwrap();
    let mut client = connect(&proxy).await;
    assert_eq!(say(&mut client, b"hello").await.unwrap(), b"hello");
    client.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_cut_link_resets_its_connections_until_it_is_open_again() {
    let server = echo().await;
    let proxy = Proxy::start(server.port).unwrap();
    let mut old = connect(&proxy).await;
    say(&mut old, b"a").await.unwrap();
    proxy.set(Condition::Cut);
    assert_eq!(hear(&mut old, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let mut refused = connect(&proxy).await;
    assert!(say(&mut refused, b"b").await.is_err());
    proxy.set(Condition::Open);
    assert_eq!(say(&mut connect(&proxy).await, b"c").await.unwrap(), b"c");
}

#[tokio::test]
async fn a_silent_link_keeps_what_it_was_given_until_it_is_open_again() {
    let server = echo().await;
    let proxy = Proxy::start(server.port).unwrap();
    let mut client = connect(&proxy).await;
    say(&mut client, b"a").await.unwrap();
    proxy.set(Condition::Silent);
    let mut answer = pin!(say(&mut client, b"b"));
    assert!(timeout(A_MOMENT, &mut answer).await.is_err());
    proxy.set(Condition::Open);
    assert_eq!(answer.await.unwrap(), b"b");
}

#[tokio::test]
async fn a_half_open_link_brings_requests_and_no_answers() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).unwrap();
    proxy.set(Condition::HalfOpen);
    let mut client = connect(&proxy).await;
    client.write_all(b"ask").await.unwrap();
    let mut server = listener.accept().await.unwrap().0;
    assert_eq!(hear(&mut server, 3).await.unwrap(), b"ask");
    server.write_all(b"answer").await.unwrap();
    let mut answer = pin!(hear(&mut client, 6));
    assert!(timeout(A_MOMENT, &mut answer).await.is_err());
    proxy.set(Condition::Open);
    assert_eq!(answer.await.unwrap(), b"answer");
}

#[tokio::test]
async fn a_slow_link_is_late_by_as_much_each_way() {
    let server = echo().await;
    let proxy = Proxy::start(server.port).unwrap();
    let mut client = connect(&proxy).await;
    say(&mut client, b"a").await.unwrap();
    proxy.set(Condition::Slow(Duration::from_millis(50)));
    let asked = Instant::now();
    assert_eq!(say(&mut client, b"b").await.unwrap(), b"b");
    assert!(asked.elapsed() >= Duration::from_millis(100));
}
