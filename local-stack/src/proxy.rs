//! A TCP link through this process that a test can cut, slow down or silence.

use std::{io, net::Ipv4Addr, pin::pin, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use crate::ports::Reservation;

/// How much of a connection is on its way through us at a time, in each direction.
const BUFFER_BYTES: usize = 16 * 1024;

/// What becomes of the bytes on a link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Condition {
    /// They pass.
    #[default]
    Open,
    /// Every connection is reset, new ones at once.
    Cut,
    /// They pass this much later.
    Slow(Duration),
    /// Connections are accepted and stay, but nothing passes until the link is open again: a cable is out.
    Silent,
    /// What the client says arrives, what the server answers does not until the link is open again.
    HalfOpen,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Condition {
    /// How much later bytes pass in this direction, or `None` if they do not.
    fn lag(self, direction: Direction) -> Option<Duration> {
        match self {
            Self::Open => Some(Duration::ZERO),
            Self::Slow(lag) => Some(lag),
            Self::HalfOpen if direction == Direction::ToServer => Some(Duration::ZERO),
            Self::Cut | Self::Silent | Self::HalfOpen => None,
        }
    }
}

/// A port of 127.0.0.1 that leads to another one. Dropping it closes all of its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    condition: watch::Sender<Condition>,
    // Owned here, so that it ends with the proxy.
    _task: JoinSet<()>,
}

impl Proxy {
    /// A proxy on a free port that leads to port `to`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(to: u16) -> Result<Self> {
        let reservation = Reservation::any()?;
        let port = reservation.port();
        let listener = reservation.into_listener();
        listener.set_nonblocking(true).context("cannot listen")?;
        let listener = TcpListener::from_std(listener).context("cannot listen")?;
        let condition = watch::Sender::new(Condition::Open);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, to, condition.subscribe()));
        Ok(Self { port, condition, _task: task })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what becomes of the bytes, also of the connections that exist.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

async fn accept(listener: TcpListener, to: u16, condition: watch::Receiver<Condition>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is of that one connection, or says that we have too many files open: nothing to do here.
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(carry(client, to, condition.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until an end closes it or it is cut.
async fn carry(mut client: TcpStream, to: u16, condition: watch::Receiver<Condition>) {
    let mut watched = condition.clone();
    let mut cut = pin!(watched.wait_for(|condition| *condition == Condition::Cut));
    let server = tokio::select! {
        biased;
        _ = &mut cut => None,
        server = connect(to, condition.clone()) => server.ok(),
    };
    let Some(mut server) = server else { return reset(&client) };
    let passed = tokio::select! {
        _ = cut => None,
        passed = pump_both(&mut client, &mut server, &condition) => passed.ok(),
    };
    if passed.is_none() {
        reset(&client);
        reset(&server);
    }
}

/// Makes the close of the stream a reset: both ends lose what was on its way.
fn reset(stream: &TcpStream) {
    // Refused only if it is closed already.
    let _ = stream.set_zero_linger();
}

async fn connect(to: u16, mut condition: watch::Receiver<Condition>) -> io::Result<TcpStream> {
    sleep(passable(&mut condition, Direction::ToServer).await?).await;
    TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await
}

async fn pump_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    condition: &watch::Receiver<Condition>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        pump(from_client, to_server, Direction::ToServer, condition.clone()),
        pump(from_server, to_client, Direction::ToClient, condition.clone()),
    )?;
    Ok(())
}

/// Passes bytes on until the end of the stream, which it passes on too.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        let lag = passable(&mut condition, direction).await?;
        if !lag.is_zero() {
            sleep(lag).await;
            // It may have been silenced meanwhile.
            passable(&mut condition, direction).await?;
        }
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// Waits until bytes pass in this direction, and says how much later they do.
async fn passable(condition: &mut watch::Receiver<Condition>, direction: Direction) -> io::Result<Duration> {
    let condition = condition.wait_for(|condition| condition.lag(direction).is_some()).await;
    let condition = condition.map_err(io::Error::other)?;
    Ok(condition.lag(direction).unwrap_or_default())
}

#[cfg(test)]
mod tests;
