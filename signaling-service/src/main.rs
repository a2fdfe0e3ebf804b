//! The process of signaling-service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run(signaling_service::NAME, signaling_service::app::start)
}
