//! A full disk, a wrong URL.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use proto::chat::Code;
use tokio::time::{Instant, sleep};

use crate::support::{Servers, draft, outcomes, request, send, send_reliably, shared};

/// A small file system in memory. Dropped, it is unmounted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing may be mounted.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m,mode=0777", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        // As much as fits.
        let _ = std::fs::write(self.0.join("filler"), vec![1; 64 * 1024 * 1024]);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Incompressible, so that it needs room.
fn noise(bytes: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_sends_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else {
        eprintln!("skipped: nothing may be mounted here");
        return;
    };
    let servers = Servers::start().await;
    let stack = servers.stack().await;
    let sql = stack.sql().await;
    let data = disk.0.join("data");
    std::fs::create_dir(&data).unwrap();
    assert!(Command::new("chown").arg("postgres").arg(&data).status().unwrap().success());
    sql.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", data.display())).await.unwrap();
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    sql.batch_execute("ALTER TABLE messages SET TABLESPACE small").await.unwrap();
    replica.put("demo").await;
    assert_eq!(outcomes(&send(&bus, &request("demo", "alice", vec![draft("a", &noise(50_000))])).await).len(), 1);
    disk.fill();
    let mut acked = 1;
    // What room the pages have left is used up first.
    let refused = loop {
        let sent = send(&bus, &request("demo", "alice", vec![draft(&format!("c{acked}"), &noise(50_000))])).await;
        match outcomes(&sent)[0].clone() {
            Ok(stored) => acked = stored.seq,
            Err(code) => break code,
        }
        assert!(acked < 100, "the disk is not full");
    };
    assert_eq!(refused, Code::Unavailable);
    let get = replica.get("demo").await;
    assert_eq!(get.last_seq, acked, "reading goes on");
    disk.make_room();
    let results = send_reliably(&bus, &request("demo", "alice", vec![draft("after", &noise(50_000))])).await;
    assert_eq!(results[0].as_ref().unwrap().seq, acked + 1);
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
async fn a_url_where_nobody_answers_is_told_in_one_line_and_waited_for() {
    let servers = shared().await;
    let stack = servers.stack().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (postgres, nats) = (format!("postgres://x@{nobody}/x"), format!("nats://{nobody}"));
    for (args, says) in [
        (["--database-url", postgres.as_str(), "--nats-url", stack.nats.as_str()], "waiting for PostgreSQL"),
        (["--database-url", stack.database.as_str(), "--nats-url", nats.as_str()], "NATS"),
    ] {
        let (text, failed) = output_of(&args).await;
        assert!(!failed, "it waits: {text}");
        let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
        assert!(matches!(warnings[..], [line] if line.contains(says)), "{text}");
    }
}
