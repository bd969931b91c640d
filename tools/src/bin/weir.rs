//! The orchestration client; everything it does is in `tools::weir`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tools::weir::run()
}
