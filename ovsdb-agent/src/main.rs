//! The daemon: arguments, logging, signals; everything else is the library.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::{Args, CommandFactory, FromArgMatches};
use ovsdb_agent::{
    agent,
    check::{self, Check, Checker},
    config::Config,
    join::{self, Join, Leave},
    registry,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let command = Config::command()
        .subcommand(Join::augment_args(clap::Command::new("join")))
        .subcommand(Check::augment_args(clap::Command::new("check")))
        .subcommand(Leave::augment_args(clap::Command::new("leave")))
        .subcommand(registry::Options::augment_args(clap::Command::new("registry-proxy")))
        .subcommand_negates_reqs(true);
    let mut arguments = command.get_matches();
    let result = match arguments.remove_subcommand() {
        Some((name, mut arguments)) if name == "registry-proxy" => {
            registry::Options::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(cache)
        }
        Some((name, mut arguments)) if name == "leave" => {
            Leave::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(|it| leave_pool(&it))
        }
        Some((name, mut arguments)) if name == "check" => {
            match Check::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(look) {
                Ok(true) => Ok(()),
                Ok(false) => return ExitCode::FAILURE,
                Err(error) => Err(error),
            }
        }
        Some((_, mut arguments)) => {
            Join::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(|it| join_pool(&it))
        }
        None => Config::from_arg_matches_mut(&mut arguments).map_err(Into::into).and_then(start),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The terminal may be gone.
            writeln!(std::io::stderr(), "weir-agent: {error:#}").unwrap_or(());
            ExitCode::FAILURE
        }
    }
}

/// Says what was done; that nobody is there any more to be told is no error.
fn say(lines: &[String]) {
    writeln!(std::io::stdout(), "{}", lines.join("\n")).unwrap_or(());
}

/// Whether nothing fails.
fn look(check: Check) -> anyhow::Result<bool> {
    let output = check.output;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(async { Checker::new(check).look(&check::Asked::default()).await })?;
    say(&[check::shown(&findings, output)]);
    Ok(check::is_well(&findings))
}

fn join_pool(join: &Join) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let joined = runtime.block_on(join::join(join))?;
    let about = &joined.current.about;
    let mut lines = vec![format!("joined the pool `{}` as `{}`", about.pool, about.node)];
    match &joined.taken {
        Some((nic, borne)) => {
            lines.push(format!("br-phy has {nic}, and bears {}", borne.join(", ")));
            if joined.leased {
                lines.push(format!(
                    "an address of {nic} ends by itself: the agent takes what DHCP gives next; a fixed one is better"
                ));
            }
            lines.push(format!("the agent's settings are in {}", join.configuration.display()));
            lines.push("to start it: systemctl enable --now weir-agent".to_owned());
        }
        None => lines.push(format!(
            "weir-agent --controller https://{} --pool {} --name {} … finds the certificate in {}",
            join.request.controller,
            about.pool,
            about.node,
            joined.current.directory.display()
        )),
    }
    say(&lines);
    Ok(())
}

fn leave_pool(leave: &Leave) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let left = runtime.block_on(join::leave(leave))?;
    let mut lines = Vec::new();
    lines.extend(left.unsaid.map(|why| {
        format!(
            "the controller does not know that the node has left: {why}; remove it with `weir node delete`"
        )
    }));
    lines.extend(left.node.map(|(pool, node)| format!("`{node}` has left the pool `{pool}`")));
    lines.extend(left.nic.map(|nic| format!("{nic} has its addresses and routes back")));
    if lines.is_empty() {
        lines.push("this node has not joined: there is nothing to leave".to_owned());
    }
    say(&lines);
    Ok(())
}

fn start(config: Config) -> anyhow::Result<()> {
    run(&config.log.clone(), async |stop| {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pool = config.pool,
            name = config.name,
            controller = %config.controller,
            dpid = format!("{:016x}", config.datapath_id()),
            "weir-agent"
        );
        Ok(agent::run(config, stop).await?)
    })
}

fn cache(options: registry::Options) -> anyhow::Result<()> {
    run(&options.log.clone(), async |stop| registry::run(options, stop).await)
}

/// Logs as the filter says, and does the work until a signal asks for its end.
fn run(log: &str, work: impl AsyncFnOnce(CancellationToken) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(log)?;
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
        work(stop).await
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
