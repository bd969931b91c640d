//! `weir`, the orchestration client: reads its arguments, asks the controller, shows the answer.
//!
//! One file or folder a resource (`pool`, `token`, `network`, `node`, `container`, `service`, `volume`), each with its arguments,
//! requests and views; `setting` and `published` parse what users write and do nothing else; `output` alone writes to standard output,
//! `failure` alone decides what an error says and with which code the process ends.

mod arguments;
mod bench;
mod container;
mod events;
mod failure;
mod network;
mod node;
mod output;
mod pool;
mod published;
mod service;
mod session;
mod setting;
mod setup;
mod status;
mod token;
mod top;
mod usage;
mod volume;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use failure::{EXIT_USAGE, Failure};
use session::Session;

/// Runs the client on the process's arguments and returns the process's exit code.
///
/// Exit codes: 0 done, 1 refused, 2 bad usage, 3 no controller, 4 too late; of `container exec`, the command's own. 1 also
/// says that a container that was waited for has ended badly, and that no node can take one of a dry run.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done if even the terminal is gone. Help and version are "errors" with exit code 0.
            let printed = error.print();
            return if printed.is_ok() && !error.use_stderr() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_USAGE)
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::System(error).report(),
    };
    let outcome = runtime.block_on(dispatch(arguments));
    // A read of standard input that never ends must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { globals, command } = arguments;
    match command {
        Command::Completions { shell } => return completions(shell).map(|()| ExitCode::SUCCESS),
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), folder).map_err(Failure::System)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let session = Session::new(&globals)?;
    match command {
        Command::Pool { command } => pool::run(&session, command).await?,
        Command::Token { command } => token::run(&session, command).await?,
        Command::Network { command } => network::run(&session, command).await?,
        Command::Node { command } => return node::run(&session, command).await,
        Command::Container { command } => return container::run(&session, command).await,
        Command::Service { command } => service::run(&session, command).await?,
        Command::Volume { command } => volume::run(&session, command).await?,
        Command::Events(arguments) => events::run(&session, arguments).await?,
        Command::Status => status::run(&session).await?,
        Command::Top(arguments) => return top::run(&session, arguments).await,
        Command::Bench(arguments) => return bench::run(&session, arguments).await,
        Command::Completions { .. } | Command::Man { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the completion script for the name by which the program was called.
fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = called.as_deref().and_then(|path| path.file_name()?.to_str()).unwrap_or("weir");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), name, &mut script);
    output::raw(&script)
}
