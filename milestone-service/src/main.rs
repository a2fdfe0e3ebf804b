//! The process of milestone-service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run(milestone_service::NAME, milestone_service::app::start)
}
