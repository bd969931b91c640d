//! `weir-lab`: labs of namespaces, Open vSwitch and Weir from a topology file.

use std::process::ExitCode;

fn main() -> ExitCode {
    labs::cli::run()
}
