//! The process of the gateway.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Its background threads give back what a flood of connections has left, which glibc's allocator keeps:
/// docs/performance.md.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    service_kit::run(gateway::NAME, gateway::app::start)
}
