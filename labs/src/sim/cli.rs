//! The command `weir-sim`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::figures::Figures;
use super::picture;
use super::scenario::Scenario;

/// A fleet of simulated switches and agents against a real controller, and what it costs.
///
/// Runs the weir-controller beside it. Each switch is two connections, so `ulimit -n` must be 256 above twice their
/// number, or this must run as root, which raises it.
#[derive(Debug, Parser)]
#[command(name = "weir-sim", version)]
struct Arguments {
    /// The scenario, for example labs/fleets/small.toml
    file: PathBuf,
    /// Other sizes than the file's: numbers of switches in all
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<u32>,
    /// Where to write the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to draw them against size, as SVG
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// Runs the command.
#[must_use]
pub fn run() -> ExitCode {
    match tokio::runtime::Runtime::new().context("cannot start").and_then(|it| it.block_on(execute())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // The controller goes with what has started it.
    tokio::select! {
        done = simulate(arguments) => done,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn simulate(arguments: Arguments) -> anyhow::Result<()> {
    let scenario = Scenario::read(&arguments.file)?;
    let mut sizes = if arguments.sizes.is_empty() { scenario.sizes.clone() } else { arguments.sizes };
    if sizes.is_empty() {
        sizes.push(scenario.n_nodes());
    }
    let mut runs: Vec<Figures> = Vec::new();
    for size in sizes {
        let begun = Instant::now();
        let progress = |what: &str| eprintln!("{:8.1} s  {what}", begun.elapsed().as_secs_f64());
        let figures = super::run::run(&scenario.with_size(size), &progress).await?;
        println!("{}", figures.table());
        runs.push(figures);
        if let Some(path) = &arguments.json {
            write(path, &serde_json::to_string_pretty(&runs)?)?;
        }
        if let Some(path) = &arguments.svg {
            write(path, &picture::draw(&runs))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
