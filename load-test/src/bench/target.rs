//! Who is measured: gateways of a stack of their own, or socket.io from npm. Each is a child that ends with its input.

use std::{
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use local_stack::stack::Manifest;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::process::Process;
use crate::{tokens::TokenIssuer, transport::Endpoint};

/// How long a start may take: PostgreSQL makes a new cluster.
const START_LIMIT: Duration = Duration::from_mins(2);
/// How long a stop may take before the child is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const STOP_POLL: Duration = Duration::from_millis(20);
/// How long the reference may collect garbage.
const COLLECT_LIMIT: Duration = Duration::from_secs(30);
/// Longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);
/// Below the working directory, which is the repository's.
const REFERENCE: &str = "e2e/bench/reference.mjs";
/// Where the data of the stack lies, below the working directory.
const DATA: &str = ".local";

/// Who is measured.
pub struct Target {
    /// What reports call it.
    pub name: String,
    /// Where clients connect.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What is measured of it.
    pub processes: Vec<Process>,
    /// Signs the tokens of its users.
    pub tokens: TokenIssuer,
    /// The stack behind the gateways; the reference has none.
    pub stack: Option<Manifest>,
    program: Program,
    _dir: Option<TempDir>,
}

impl Target {
    /// Starts a stack with so many gateways. They allow an hour for a CONNECT, so that bare connections can be
    /// measured; `variables` (`KEY=VALUE`) are set besides.
    pub async fn gateways(count: u16, variables: &[String]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(DATA).context("cannot create the data folder")?;
        let dir = tempfile::Builder::new().prefix("bench.").tempdir_in(DATA)?;
        let own = std::env::current_exe()?;
        let mut command = Command::new(own.with_file_name("local-stack"));
        command.args(["run", "--control", "--port", "0", "--env", "CONNECT_TIMEOUT_S=3600", "--env", "RUST_LOG=warn"]);
        command.args(["--gateways", &count.to_string()]).arg("--dir").arg(dir.path());
        command.args(variables.iter().flat_map(|variable| ["--env", variable]));
        let (program, first) = Program::start(command).await?;
        ensure!(first.starts_with("ready "), "the stack did not start: {first}");
        let stack = Manifest::read(dir.path())?;
        let pids = stack.members.iter().filter(|member| member.name.starts_with("gateway-"));
        let urls: Vec<_> = stack.gateways.iter().map(|gateway| format!("http://127.0.0.1:{}", gateway.port)).collect();
        Ok(Self {
            name: "gateway".to_owned(),
            endpoints: Endpoint::resolve_all(&urls).await?,
            processes: pids.filter_map(|member| member.pid.map(Process)).collect(),
            tokens: TokenIssuer::new(&stack.jwt_secret, TOKEN_LIFETIME),
            stack: Some(stack),
            program,
            _dir: Some(dir),
        })
    }

    /// Starts socket.io from npm.
    pub async fn reference() -> anyhow::Result<Self> {
        ensure!(Path::new(REFERENCE).is_file(), "{REFERENCE} is missing: run through ./dev bench");
        let mut command = Command::new("node");
        command.args(["--expose-gc", REFERENCE]);
        let (program, port) = Program::start(command).await?;
        let pid = program.child.id().context("the reference ended at once")?;
        Ok(Self {
            name: "socket.io".to_owned(),
            endpoints: Endpoint::resolve_all(&[format!("http://127.0.0.1:{port}")]).await?,
            processes: vec![Process(pid)],
            // It believes everybody.
            tokens: TokenIssuer::new("", TOKEN_LIFETIME),
            stack: None,
            program,
            _dir: None,
        })
    }

    /// Has the reference collect its garbage; the gateway has none.
    pub async fn collect_garbage(&mut self) -> anyhow::Result<()> {
        if self.stack.is_some() {
            return Ok(());
        }
        let answer = timeout(COLLECT_LIMIT, self.program.order("gc")).await.context("garbage is not collected")??;
        ensure!(answer == "collected", "the reference says {answer}");
        Ok(())
    }
}

/// A child that is told what to do on its standard input, and ends with that: also if we are killed.
struct Program {
    child: Child,
    /// Ends the child when it is closed.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts it and waits for its first line.
    async fn start(mut command: Command) -> anyhow::Result<(Self, String)> {
        // A group of its own: Ctrl-C is ours to handle.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { bail!("no pipes") };
        let mut output = BufReader::new(output).lines();
        let first = timeout(START_LIMIT, output.next_line()).await.with_context(|| format!("{program} is slow"))??;
        let first = first.with_context(|| format!("{program} ended at once"))?;
        Ok((Self { child, input: Some(input), output }, first))
    }

    async fn order(&mut self, command: &str) -> anyhow::Result<String> {
        self.input.as_mut().context("it is stopped")?.write_all(format!("{command}\n").as_bytes()).await?;
        self.output.next_line().await?.context("it ended")
    }
}

impl Drop for Program {
    /// Waits, so that its folder can be removed: there is nothing else to be done meanwhile.
    fn drop(&mut self) {
        self.input = None;
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < STOP_LIMIT {
            std::thread::sleep(STOP_POLL);
        }
    }
}
