//! The chat-service process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run("chat-service", chat_service::app::start)
}
