//! The switch client; everything it does is in `tools::ofctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tools::ofctl::run()
}
