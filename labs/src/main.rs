//! `weir-lab`: labs of namespaces, Open vSwitch and Weir from a topology file.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The benchmarks' fleets share the machine with the controller that is measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    labs::cli::run()
}
