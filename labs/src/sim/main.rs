//! `weir-sim`: a fleet of simulated switches and agents against a real controller.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Thousands of switches and agents share the machine with the controller that is measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    labs::sim::cli::run()
}
