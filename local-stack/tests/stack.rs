//! The program itself with the real services: starts, stops, brings back, obeys, and leaves nobody behind.
//!
//! The services' programs have to be built (`./dev test` does it).

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use local_stack::{
    ports::{self, Reservation},
    stack::Manifest,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_local-stack");
const PATIENCE: Duration = Duration::from_secs(30);

/// A running stack in a folder of its own on free ports. Dropping it ends its standard input, and so the stack.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    dir: TempDir,
}

impl Running {
    fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = run_command(dir.path(), &[&["--port", "0"], options].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, output, dir };
        let ready = running.line();
        assert!(ready.starts_with("ready http://localhost:"), "{ready}");
        for _ in 0..3 {
            running.line();
        }
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn manifest(&self) -> Manifest {
        Manifest::read(self.dir.path()).unwrap()
    }

    fn pids(&self) -> Vec<u32> {
        self.manifest().members.into_iter().map(|member| member.pid.unwrap()).collect()
    }

    fn pid_of(&self, name: &str) -> Option<u32> {
        self.manifest().members.into_iter().find(|member| member.name == name).unwrap().pid
    }

    fn command(&mut self, line: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.line()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the stack ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_command(dir: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--dir").arg(dir).args(options);
    command
}

fn run_to_end(dir: &Path, options: &[&str]) -> Output {
    run_command(dir, options).stdin(Stdio::null()).output().unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Whether a process runs; one that ended and still waits for its parent to notice does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_signal_stops_every_process_and_the_data_is_found_again() {
    let mut stack = Running::start(&["--gateways", "2", "--replicas", "2"]);
    let pids = stack.pids();
    assert_eq!(pids.len(), 3 + 2 + 3 * 2);
    stack.signal(Signal::TERM);
    assert!(stack.wait().success());
    assert!(!pids.into_iter().any(runs));
    assert!(Manifest::read(stack.dir.path()).is_err());

    let again = run_command(stack.dir.path(), &["--port", "0", "--control"]).stdin(Stdio::null()).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("ready"));
}

#[test]
fn a_kill_of_the_stack_itself_takes_every_process_along() {
    let mut stack = Running::start(&[]);
    let pids = stack.pids();
    stack.signal(Signal::KILL);
    stack.wait();
    until("all children are gone", || !pids.iter().any(|pid| runs(*pid)));
}

#[test]
fn what_dies_is_started_again() {
    let stack = Running::start(&[]);
    for name in ["chat-service-0", "gateway-0", "postgres"] {
        let pid = stack.pid_of(name).unwrap();
        kill(pid);
        until(name, || stack.pid_of(name).is_some_and(|new| new != pid && runs(new)));
    }
}

#[test]
fn commands_are_obeyed_and_answered_with_a_line_each() {
    let mut stack = Running::start(&["--control"]);
    for name in ["nats", "redis", "postgres", "chat-service-0", "gateway-0"] {
        let pid = stack.pid_of(name).unwrap();
        assert_eq!(stack.command(&format!("kill {name}")), format!("ok kill {name}"));
        assert!(!runs(pid));
        assert_eq!(stack.pid_of(name), None);
        assert_eq!(stack.command(&format!("start {name}")), format!("ok start {name}"));
        assert!(runs(stack.pid_of(name).unwrap()));
    }
    for verb in ["freeze", "thaw", "stop", "start"] {
        assert_eq!(stack.command(&format!("{verb} redis")), format!("ok {verb} redis"));
    }
    assert_eq!(stack.command("kill nobody"), "error kill nobody: nobody is called nobody");

    drop(stack.child.stdin.take());
    assert!(stack.wait().success());
}

#[test]
fn a_second_stack_on_the_same_folder_is_refused() {
    let stack = Running::start(&[]);
    let second = run_to_end(stack.dir.path(), &["--port", "0"]);
    assert_fails_with_one_line(&second, "a stack already runs on");
}

#[test]
fn no_other_stack_takes_the_port_of_a_server_that_is_down() {
    let mut stack = Running::start(&["--control"]);
    let url = stack.manifest().redis_url;
    let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(stack.command("kill redis"), "ok kill redis");
    assert!(ports::is_free(port));
    assert!(Reservation::of(port).is_err());

    stack.signal(Signal::KILL);
    stack.wait();
    Reservation::of(port).unwrap();
}

#[test]
fn a_busy_port_is_one_clear_line_before_anything_starts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let output = run_to_end(dir.path(), &["--port", &port]);
    assert_fails_with_one_line(&output, &format!("port {port} is in use"));
    assert!(!dir.path().join("postgres").exists());
}

#[test]
fn a_service_that_refuses_its_configuration_ends_the_start_with_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let output = run_to_end(dir.path(), &["--port", "0", "--milestones-file", "/no/such/file.yaml"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("milestone-service-0 ended (exit status"), "{errors}");
    assert!(errors.contains("/no/such/file.yaml"), "{errors}");
}

#[test]
fn a_variable_that_no_service_reads_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let given = ["--env", "CORS_ORIGIN=*", "--env", "CORS_ORIGINS=*", "--env", "RUST_LOG=info"];
    let output = run_to_end(dir.path(), &[&["--port", "0", "--milestones-file", "/no/such"], &given[..]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no service reads the variable CORS_ORIGIN:"), "{errors}");
    assert_eq!(errors.matches("no service reads").count(), 1, "{errors}");
}

fn assert_fails_with_one_line(output: &Output, part: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(part), "{errors}");
}
