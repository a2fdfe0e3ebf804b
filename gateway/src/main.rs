//! The process of the gateway.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run(gateway::NAME, gateway::app::start)
}
