//! How long a container takes to start where there are many already, as a network namespace and in Docker, and what the
//! daemons cost while nothing happens. It all is in a network of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::time::sleep;
use tonic::transport::Channel;
use weir_api::v1;
use weir_api::v1::networks_client::NetworksClient;

use super::docker::{self, DockerTimes};
use super::idle::{self, Idle};
use super::latency::{self, Latency};
use super::{Intent, bench_text};
use crate::Lab;
use crate::api::connect;

/// What to measure, and how to report it.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Where to write the figures as JSON too.
    pub json: Option<PathBuf>,
    /// How many endpoints are there already.
    pub endpoints: usize,
    /// How many are created, one after another.
    pub creates: usize,
    /// How long the daemons' cost is measured while nothing happens; zero: not at all.
    pub idle: Duration,
}

/// The figures for programs. Its keys are only ever added to.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(super) nodes: usize,
    pub(super) endpoints: usize,
    pub(crate) create_to_reply_ms: Latency,
    /// Agents and controller, with those endpoints.
    pub(super) idle: Vec<Idle>,
    /// Where nodes have Docker.
    pub(super) docker_ms: Option<DockerTimes>,
}

/// Fills the lab's nodes with endpoints, measures, prints the figures and removes the endpoints again.
///
/// # Errors
/// If the lab or its controller fails, or has no two nodes of one pool.
pub fn bench(lab: &Lab, options: &BenchOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(run(lab, options))?;
    print!("{}", bench_text::render(&figures));
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&figures)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

pub(crate) async fn run(lab: &Lab, options: &BenchOptions) -> anyhow::Result<Figures> {
    let channel = connect(&lab.server()).await?;
    let intent = Intent::read(&channel).await?;
    let pool = intent.nodes.first().context("the lab has no nodes")?.pool.clone();
    let nodes: Vec<_> = intent.nodes.into_iter().filter(|node| node.pool == pool).collect();
    let network = v1::Network {
        pool: pool.clone(),
        name: NETWORK.to_owned(),
        driver: "vlan".to_owned(),
        subnet: SUBNET.to_owned(),
        block_prefix_len: BLOCK_PREFIX_LEN,
        ..v1::Network::default()
    };
    let mut networks = NetworksClient::new(channel.clone());
    networks.create_network(v1::CreateNetworkRequest { network: Some(network) }).await?;
    let measured = fill_and_measure(lab, &channel, &nodes, options).await;
    // Whatever happened, nothing stays.
    let emptied = tools::bench::empty(&channel, &pool, NETWORK).await;
    let measured = measured?;
    emptied?;
    networks.delete_network(v1::DeleteNetworkRequest { pool, name: NETWORK.to_owned() }).await?;
    Ok(measured)
}

async fn fill_and_measure(
    lab: &Lab,
    channel: &Channel,
    nodes: &[v1::Node],
    options: &BenchOptions,
) -> anyhow::Result<Figures> {
    eprintln!("creating {} endpoints on {} nodes", options.endpoints, nodes.len());
    let spread = (0..options.endpoints).zip(nodes.iter().cycle());
    let each = spread.map(|(number, node)| v1::Container {
        pool: node.pool.clone(),
        name: format!("{NETWORK}-{number}"),
        network: NETWORK.to_owned(),
        node: node.name.clone(),
        ..v1::Container::default()
    });
    tools::bench::fill(channel, each).await?;
    let idle = cost(lab, options.idle).await?;
    eprintln!("measuring {} creates", options.creates);
    let mut intent = Intent::read(channel).await?;
    intent.networks.retain(|network| network.name == NETWORK);
    let Intent { containers, networks, .. } = &intent;
    let times = latency::measure(lab.state(), channel, containers, networks, options.creates).await?;
    let Some(create_to_reply_ms) = times else {
        bail!("it takes two nodes of one pool with an endpoint each");
    };
    if lab.state().with_docker().next().is_some() {
        eprintln!("measuring {} creates in Docker", options.creates);
    }
    let docker_ms = docker::measure(lab.state(), channel, &intent, options.creates).await?;
    Ok(Figures { nodes: nodes.len(), endpoints: options.endpoints, create_to_reply_ms, idle, docker_ms })
}

async fn cost(lab: &Lab, time: Duration) -> anyhow::Result<Vec<Idle>> {
    if time.is_zero() {
        return Ok(Vec::new());
    }
    eprintln!("measuring for {} what the daemons cost", humantime::format_duration(time));
    sleep(SETTLED).await;
    idle::measure(lab, time).await
}

const NETWORK: &str = "bench";
const SUBNET: &str = "10.250.0.0/16";
/// One block a node, so that no create has to give out another.
const BLOCK_PREFIX_LEN: u32 = 24;
/// Announcements come for three seconds after an endpoint has started; after so long nothing happens any more.
const SETTLED: Duration = Duration::from_secs(5);
