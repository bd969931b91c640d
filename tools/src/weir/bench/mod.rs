//! `weir bench`: creates and deletes containers at a running controller, and shows where the time went.
//!
//! The phases are the controller's own account of each create; only the ends are measured here. What it makes it also
//! deletes, whatever happens, also when it is interrupted.

mod view;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tonic::Code;
use tonic::transport::Channel;
use weir_api::v1;

use super::failure::Failure;
use super::output;
use super::session::Session;
use crate::bench::{Failed, Load, Outcome};
use view::BenchView;

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// How many containers to measure
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// How many to create and delete before, without measuring
    #[arg(long, value_name = "N", default_value_t = 10)]
    warmup: u32,
    /// How many to begin in a second, however long each takes; otherwise one after another
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,
    /// The network to attach them to; otherwise one is made for that, and deleted
    #[arg(long)]
    network: Option<String>,
    /// The node to put them on; otherwise the scheduler's choice
    #[arg(long, default_value = "", hide_default_value = true)]
    node: String,
    /// What runs them; otherwise docker if there is an image, and netns, a network namespace without processes
    #[arg(long)]
    runtime: Option<String>,
    /// What they run
    #[arg(long, default_value = "", hide_default_value = true)]
    image: String,
}

pub(super) const EXAMPLES: &str = "\
For example:
  weir --pool p bench --count 200
  weir --pool p bench --count 1000 --rate 100 --network web --output json";

pub(super) async fn run(session: &Session, arguments: Bench) -> Result<ExitCode, Failure> {
    let pool = session.pool()?;
    let channel = session.channel().await?;
    // From here on an interrupt only asks to stop, so that nothing stays that is made now.
    let interrupts = signal(SignalKind::interrupt())?;
    // Names of one's own, so that two runs at the same time do not meet.
    let prefix = format!("bench-{}", std::process::id());
    let network = Network::take(session, &channel, (&pool, arguments.network.clone()), &prefix).await?;
    let Bench { count, warmup, rate, node, runtime, image, .. } = arguments;
    let container = v1::Container {
        pool,
        network: network.name.clone(),
        node,
        runtime: runtime.unwrap_or_else(|| if image.is_empty() { "netns" } else { "docker" }.to_owned()),
        image,
        ..v1::Container::default()
    };
    let load = Load {
        container,
        prefix,
        count: count as usize,
        warmup: warmup as usize,
        rate,
        timeout: session.timeout_or(TIMEOUT),
        authorization: session.authorization(),
    };
    let outcome = measured(&channel, &load, interrupts).await;
    // Also after a failure: what is left over would hold the network, which is said then.
    let cleaned = network.give_back(session, &channel).await;
    let outcome = outcome.map_err(failure)?;
    cleaned?;
    output::show(session.format(), &BenchView::new(&load, &outcome))?;
    Ok(if outcome.stopped { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Runs the load with a bar of its progress, until it is done or the user has enough.
async fn measured(channel: &Channel, load: &Load, mut interrupts: Signal) -> Result<Outcome, Failed> {
    let (stop, stopped) = watch::channel(false);
    let interrupted = tokio::spawn(async move {
        if interrupts.recv().await.is_some() {
            eprintln!("stopping: what was begun is deleted first");
            stop.send_replace(true);
            // A second time ends it at once, as the default of the signal would.
            if interrupts.recv().await.is_some() {
                std::process::exit(INTERRUPTED.into());
            }
        }
    });
    // Draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new((load.warmup + load.count) as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} ({elapsed})");
    bar.set_style(style.expect("a constant template that parses"));
    let outcome = crate::bench::run(channel, load, stopped, |done| bar.set_position(done as u64)).await;
    bar.finish_and_clear();
    interrupted.abort();
    outcome
}

fn failure(Failed { status, left, .. }: Failed) -> Failure {
    if !left.is_empty() {
        eprintln!("warning: not deleted: {}", left.join(", "));
    }
    Failure::from(status)
}

/// The network that containers are attached to.
struct Network {
    pool: String,
    name: String,
    /// It was made for this, and is to be deleted.
    is_own: bool,
}

impl Network {
    async fn take(
        session: &Session,
        channel: &Channel,
        (pool, named): (&str, Option<String>),
        own: &str,
    ) -> Result<Network, Failure> {
        let pool = pool.to_owned();
        if let Some(name) = named {
            return Ok(Network { pool, name, is_own: false });
        }
        let network = v1::Network {
            pool: pool.clone(),
            name: own.to_owned(),
            driver: "vxlan".to_owned(),
            subnet: SUBNET.to_owned(),
            block_prefix_len: BLOCK_PREFIX_LEN,
            ..v1::Network::default()
        };
        let mut client = weir_api::client::networks(channel.clone());
        let request = session.request(v1::CreateNetworkRequest { network: Some(network) });
        session.patiently("making a network", client.create_network(request)).await?;
        Ok(Network { pool, name: own.to_owned(), is_own: true })
    }

    async fn give_back(self, session: &Session, channel: &Channel) -> Result<(), Failure> {
        let Network { pool, name, is_own } = self;
        if !is_own {
            return Ok(());
        }
        let mut client = weir_api::client::networks(channel.clone());
        let request = session.request(v1::DeleteNetworkRequest { pool, name });
        match client.delete_network(request).await {
            Err(status) if status.code() != Code::NotFound => Err(status.into()),
            _ => Ok(()),
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 && rate <= 100_000.0 => Ok(rate),
        _ => Err("it should be more than 0 and at most 100000, for example 50".to_owned()),
    }
}

/// Addresses for as many as there may be; VXLAN networks may overlap others.
const SUBNET: &str = "10.64.0.0/10";
/// A block takes what a node gets at once.
const BLOCK_PREFIX_LEN: u32 = 24;
/// How long a create or a delete may take when `--timeout` is not given.
const TIMEOUT: Duration = Duration::from_secs(30);
/// 128 + SIGINT.
const INTERRUPTED: u8 = 130;
