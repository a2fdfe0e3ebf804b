//! A WebSocket whose session another gateway owns: bytes go both ways until one side ends. It keeps no buffer while
//! nothing is said.

use std::{cell::RefCell, io, time::Duration};

use hyper::upgrade::OnUpgrade;
use tokio::{net::TcpStream, time::timeout};

use crate::tcp;

const BUFFER_BYTES: usize = 16 * 1024;
/// A side that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

/// Carries what the client and the session's owner say to each other, until one of them ends or `stop` does.
pub(super) async fn run(client: OnUpgrade, owner: OnUpgrade, stop: impl Future<Output = ()>) {
    let (Some((client, from_client)), Some((owner, from_owner))) = tokio::join!(bare(client), bare(owner)) else {
        return;
    };
    let ended = tokio::select! {
        ended = carry(&client, &owner, from_client) => ended,
        ended = carry(&owner, &client, from_owner) => ended,
        () = stop => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a forwarded connection has ended");
    }
}

/// The bare socket, and what was read from it already.
async fn bare(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let (stream, read) = tcp::bare(upgrade.await.ok()?)?;
    Some((stream, read.to_vec()))
}

async fn carry(from: &TcpStream, to: &TcpStream, first: Vec<u8>) -> io::Result<()> {
    write_all(to, &first).await?;
    drop(first);
    loop {
        from.readable().await?;
        let Some(rest) = pass(from, to)? else { return Ok(()) };
        write_all(to, &rest).await?;
    }
}

/// Passes on what can be read at once. Returns what could not be written at once; `None` at the end.
fn pass(from: &TcpStream, to: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    BUFFER.with_borrow_mut(|buffer| match from.try_read(buffer) {
        Ok(0) => Ok(None),
        Ok(read) => write_some(to, &buffer[..read]).map(|written| Some(buffer[written..read].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Vec::new())),
        Err(error) => Err(error),
    })
}

fn write_some(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match to.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

async fn write_all(to: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        timeout(WRITE_TIMEOUT, to.writable()).await??;
        rest = &rest[write_some(to, rest)?..];
    }
    Ok(())
}
