//! How one sees from outside that a server is ready.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A frozen server accepts connections and says nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// What tells that a server is ready.
#[derive(Clone, Debug)]
pub enum Probe {
    /// It listens on this port of 127.0.0.1, and after `say` it says something that starts with `hear`.
    Dialogue {
        /// TCP port on 127.0.0.1.
        port: u16,
        /// Sent after the connection is made.
        say: String,
        /// The start of a ready server's answer.
        hear: &'static str,
    },
    /// PostgreSQL writes its state into the eighth line of `postmaster.pid`, which is what `pg_ctl` waits for too
    /// (`LOCK_FILE_LINE_PM_STATUS` in PostgreSQL's `miscadmin.h`).
    PostmasterPid(PathBuf),
}

impl Probe {
    /// An HTTP server that answers `GET path` with 200.
    pub fn http(port: u16, path: &str) -> Self {
        let say = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Self::Dialogue { port, say, hear: "HTTP/1.1 200" }
    }

    /// Whether the process with this id is ready now.
    pub(crate) async fn succeeds(&self, pid: u32) -> bool {
        match self {
            Self::Dialogue { port, say, hear } => {
                let answer = timeout(PATIENCE, converse(*port, say, hear.len())).await;
                matches!(answer, Ok(Ok(answer)) if answer.starts_with(hear.as_bytes()))
            }
            Self::PostmasterPid(path) => match fs::read_to_string(path).await {
                Ok(text) => postmaster_is_ready(&text, pid),
                Err(_) => false,
            },
        }
    }
}

/// Reads until the answer is long enough to be judged, and what came along with it.
async fn converse(port: u16, say: &str, enough: usize) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(say.as_bytes()).await?;
    let mut answer = Vec::with_capacity(4096);
    while answer.len() < enough && stream.read_buf(&mut answer).await? > 0 {}
    Ok(answer)
}

fn postmaster_is_ready(text: &str, pid: u32) -> bool {
    let mut lines = text.lines();
    // The file may be of a server before this one.
    let ours = lines.next() == Some(pid.to_string().as_str());
    ours && lines.nth(6).map(str::trim) == Some("ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_postmaster_is_ready_when_its_own_file_says_so() {
        let file = |status| format!("42\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\n{status}\n");
        assert!(postmaster_is_ready(&file("ready   "), 42));
        assert!(!postmaster_is_ready(&file("starting"), 42));
        assert!(!postmaster_is_ready(&file("ready   "), 43));
        assert!(!postmaster_is_ready("", 42));
    }
}
