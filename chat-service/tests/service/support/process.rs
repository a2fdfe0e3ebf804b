//! A replica as a process of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Stack, eventually};

/// One replica as a process of its own. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    health: SocketAddr,
}

impl Process {
    /// `STOP`, `CONT`, `KILL`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The whole answer of its health server; empty when there is none.
    pub(crate) async fn http(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.health).await else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            let _ = stream.read_to_string(&mut answer).await;
        }
        answer
    }

    /// The value of a metric, by the beginning of its line; 0 when it is not there.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let text = self.http("/metrics").await;
        let found = text.lines().filter(|found| found.starts_with(line));
        found.filter_map(|found| found.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stack {
    /// A replica that is a process of its own, to be killed or frozen. It is ready.
    pub(crate) async fn process(&self) -> Process {
        let health = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chat-service"))
            .args(["--database-url", &self.database, "--nats-url", &self.nats, "--prefix", &self.prefix])
            .args(["--grpc-listen", "127.0.0.1:0", "--health-listen", &health.to_string()])
            .args(["--limit-sends-match", "100000/100000", "--limit-bytes-match", "4000000000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process { child, health };
        eventually("the process is ready", async || process.http("/readyz").await.starts_with("HTTP/1.1 200")).await;
        process
    }
}
