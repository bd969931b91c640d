//! The daemon: arguments, logging, signals; everything else is the library.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches};
use ovsdb_agent::{
    agent,
    config::Config,
    enrol::{self, Join},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let join = Join::augment_args(clap::Command::new("join"));
    let command = Config::command().subcommand(join).subcommand_negates_reqs(true);
    let mut arguments = command.get_matches();
    let result = match arguments.remove_subcommand() {
        Some((_, mut arguments)) => {
            Join::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(|it| join_pool(&it))
        }
        None => Config::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(start),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn join_pool(join: &Join) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let joined = runtime.block_on(enrol::join(join))?;
    println!("joined the pool `{}` as `{}`", joined.about.pool, joined.about.node);
    println!(
        "weir-agent --controller https://{} --pool {} --name {} … finds the certificate in {}",
        join.controller,
        joined.about.pool,
        joined.about.node,
        joined.directory.display()
    );
    Ok(())
}

fn start(config: Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(stop_on(terminate, interrupt, stop.clone()));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pool = config.pool,
            name = config.name,
            controller = %config.controller,
            dpid = format!("{:016x}", config.datapath_id()),
            "weir-agent"
        );
        agent::run(config, stop).await?;
        Ok(())
    });
    runtime.shutdown_timeout(FAREWELL);
    result
}

async fn stop_on(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    // Cancel safe: a signal that loses stays noted in its own stream.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
}

/// The work is waiting for others.
const WORKERS: usize = 2;

const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);
