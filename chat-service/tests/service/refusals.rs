//! A full disk, a wrong URL.

use std::{
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use proto::chat::{Code, SendRequest};
use tokio::time::{Instant, sleep};

use crate::support::{Servers, draft, outcomes, request, send, send_reliably, shared};

/// What a segment of the log takes: the log can be written then, and a table cannot grow beyond it.
const LOG_SEGMENT: &str = "16777216";

/// Lets PostgreSQL write to no file beyond so many bytes.
///
/// A soft `RLIMIT_FSIZE` fails a write with EFBIG where a full disk says ENOSPC; PostgreSQL treats both alike, and
/// nothing has to be mounted. A process' limits are set as the user who owns it: root in a container may lack the right
/// to do so for others.
fn limit_files(postmaster: u32, bytes: &str) {
    let owner = |pid: &str| std::fs::metadata(format!("/proc/{pid}")).map(|process| (process.uid(), process.gid()));
    let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
    let (uid, gid) = owner(&postmaster.to_string()).unwrap();
    let set = |pid: &str| {
        let mut set = Command::new("setpriv");
        if owner("self").unwrap().0 != uid {
            set.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
        }
        set.args(["prlimit", "--pid", pid, &format!("--fsize={bytes}:")]).status().unwrap().success()
    };
    // The parent first, so that whoever starts from now on inherits it; a child may have ended.
    assert!(set(&postmaster.to_string()));
    for child in children.split_whitespace() {
        set(child);
    }
}

/// Ten messages of 50 KB that cannot be compressed.
fn half_a_megabyte(name: &str) -> SendRequest {
    let noise = || std::iter::repeat_with(fastrand::alphanumeric).take(50_000).collect::<String>();
    request("demo", "alice", (0..10).map(|n| draft(&format!("{name}-{n}"), &noise())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_sends_until_there_is_room() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let postmaster = servers.postgres.pid().unwrap();
    limit_files(postmaster, LOG_SEGMENT);
    let mut acked = 0;
    let refused = loop {
        let sent = send(&bus, &half_a_megabyte(&format!("c{acked}"))).await;
        match outcomes(&sent).pop().unwrap() {
            Ok(stored) => acked = stored.seq,
            Err(code) => break code,
        }
        assert!(acked < 1_000, "the disk is not full");
    };
    assert_eq!(refused, Code::Unavailable);
    assert_eq!(replica.get("demo").await.last_seq, acked, "reading goes on");
    limit_files(postmaster, "unlimited");
    let results = send_reliably(&bus, &half_a_megabyte("after")).await;
    assert_eq!(results[0].as_ref().unwrap().seq, acked + 1);
    drop((replica, servers));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_cannot_take_is_acked_once_there_is_room() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("before", "x")])).await;
    limit_files(servers.postgres.pid().unwrap(), "0");
    let more = request("demo", "alice", vec![draft("more", "x")]);
    let refused = send(&bus, &more).await;
    assert_eq!(outcomes(&refused), [Err(Code::Unavailable)]);
    // Without its log it cannot even recover.
    servers.postgres.ended_by_itself().await.unwrap();
    servers.postgres.start_again().await.unwrap();
    assert_eq!(send_reliably(&bus, &more).await[0].as_ref().unwrap().seq, 2);
    drop((replica, servers));
}

/// What it writes within two seconds, and whether it has failed by then.
async fn output_of(args: &[&str]) -> (String, bool) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_chat-service"));
    program.args(args).args(["--grpc-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
    let mut child = program.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(2);
    while Instant::now() < give_up && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(20)).await;
    }
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    (text, ended.is_some_and(|status| !status.success()))
}

#[tokio::test]
async fn a_url_that_is_none_ends_the_start_with_one_line() {
    let nats = &shared().await.nats;
    for (args, names) in [
        (["--database-url", "postgres://localhost:port/x", "--nats-url", nats.url()], "--database-url"),
        (["--database-url", "postgres://localhost/x", "--nats-url", "nats://localhost:port"], "--nats-url"),
    ] {
        let (text, failed) = output_of(&args).await;
        assert!(failed, "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("chat-service: ")).collect();
        assert!(matches!(lines[..], [line] if line.contains(names)), "{text}");
    }
}

#[tokio::test]
async fn a_server_or_a_database_that_is_not_there_is_told_in_one_line_and_waited_for() {
    let servers = shared().await;
    let stack = servers.stack().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (postgres, nats) = (format!("postgres://x@{nobody}/x"), format!("nats://{nobody}"));
    let no_database = format!("{}x", stack.database);
    for (args, says) in [
        (["--database-url", postgres.as_str(), "--nats-url", stack.nats.as_str()], "waiting for PostgreSQL"),
        (["--database-url", no_database.as_str(), "--nats-url", stack.nats.as_str()], "does not exist"),
        (["--database-url", stack.database.as_str(), "--nats-url", nats.as_str()], "NATS"),
    ] {
        let (text, failed) = output_of(&args).await;
        assert!(!failed, "it waits: {text}");
        let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
        assert!(matches!(warnings[..], [line] if line.contains(says)), "{text}");
    }
}
