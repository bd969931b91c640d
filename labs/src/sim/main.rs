//! `weir-sim`: a fleet of simulated switches and agents against a real controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    labs::sim::cli::run()
}
