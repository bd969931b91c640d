//! The daemon: arguments, logging, signals; everything else is the library.

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use ovsdb_agent::{agent, config::Config};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let config = Config::parse();
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
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
