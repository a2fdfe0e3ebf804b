//! One stack for all tests of this program, gone with it.

// Each test program takes what it needs.
#![allow(dead_code)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock},
};

use local_stack::stack::Manifest;

/// The running stack.
pub(crate) struct Stack {
    pub(crate) manifest: Manifest,
    control: Mutex<Control>,
}

/// The program that runs the stack. Its standard input ends with this process, and the stack with it.
struct Control {
    program: Child,
    output: BufReader<ChildStdout>,
}

impl Stack {
    /// Does something to a process of the stack, `kill nats` or `start nats`, and waits until it is done.
    pub(crate) fn order(&self, command: &str) {
        let mut control = self.control.lock().unwrap();
        writeln!(control.program.stdin.as_mut().unwrap(), "{command}").unwrap();
        let mut answer = String::new();
        control.output.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("ok"), "{command}: {answer}");
    }
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
    assert!(
        program.is_file(),
        "{} is missing: run ./dev test, or build the whole workspace with this profile",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(["run", "--control", "--port", "0", "--gateways", "2", "--dir"]).arg(dir.as_os_str());
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    output.read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready "), "the stack did not start: {ready}");
    // How to try it.
    for _ in 0..3 {
        output.read_line(&mut String::new()).unwrap();
    }
    Stack { manifest: Manifest::read(&dir).unwrap(), control: Mutex::new(Control { program, output }) }
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
