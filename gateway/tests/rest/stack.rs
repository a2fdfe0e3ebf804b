//! One stack for all tests of this program, gone with it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use local_stack::stack::Manifest;

/// The running stack.
pub(crate) struct Stack {
    pub(crate) manifest: Manifest,
    // Its standard input ends with this process, and the stack with it.
    _program: Child,
}

/// The stack, started by whoever asks first.
pub(crate) fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(start)
}

fn start() -> Stack {
    remove_those_of_ended_runs();
    let dir = folder(&std::process::id().to_string());
    let program = Path::new(env!("CARGO_BIN_EXE_gateway")).with_file_name("local-stack");
    assert!(program.is_file(), "{} is missing: cargo build --release --workspace", program.display());
    let mut command = Command::new(program);
    command.args(["run", "--control", "--port", "0", "--gateways", "2", "--dir"]).arg(dir.as_os_str());
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready "), "the stack did not start: {ready}");
    Stack { manifest: Manifest::read(&dir).unwrap(), _program: program }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway-rest").join(name)
}

/// Nothing runs at the end of this process that could remove its own folder.
fn remove_those_of_ended_runs() {
    for entry in fs::read_dir(folder("")).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
