//! How long a Docker container takes from the request to its first reply to a ping, beside what Docker alone takes, and
//! how long many take at once.
//!
//! Docker alone is its own client on the same node, with the same image and without a network. The two take turns, so that
//! both have the same weather; the bare port of Open vSwitch is the third.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::time::timeout;
use tonic::transport::Channel;
use tools::bench::{Percentiles, milliseconds};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;

use super::Intent;
use super::floor::Floor;
use super::latency::{self, Target};
use super::plain::{self, Plain};
use crate::state::State;

/// Times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DockerTimes {
    /// From the request to the first reply.
    pub(super) create_to_reply: Percentiles,
    /// From the request to the news that it is ready.
    pub(super) ready: Percentiles,
    /// `docker run --detach --network none`, from start to end.
    pub(super) docker_run: Percentiles,
    /// The first less the last.
    pub(super) above_docker_run: Percentiles,
    /// A bare `ovs-vsctl add-port` in the same Open vSwitch.
    pub(super) bare_add_port: Percentiles,
    pub(super) creates: usize,
    pub(super) at_once: AtOnce,
}

/// Many containers requested at the same moment, until the last is there; in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct AtOnce {
    pub(super) containers: usize,
    pub(super) nodes: usize,
    /// Until all are ready.
    pub(super) ready: f64,
    /// Until as many `docker run --detach --network none`, started at once on the same nodes, have ended.
    pub(super) docker_run: f64,
}

/// Measures on the nodes that have Docker. The networks of `intent` have blocks there, and endpoints on others.
///
/// Gives `None` if no node has.
///
/// # Errors
/// If a container cannot be created, or is not there in time.
pub(super) async fn measure(
    state: &State,
    channel: &Channel,
    intent: &Intent,
    creates: usize,
) -> anyhow::Result<Option<DockerTimes>> {
    let with_docker: BTreeSet<&str> = state.with_docker().map(|machine| machine.name.as_str()).collect();
    let mut networks = intent.networks.clone();
    for network in &mut networks {
        network.blocks.retain(|block| with_docker.contains(block.node.as_str()));
    }
    let targets = latency::targets(&intent.containers, &networks, creates);
    if targets.is_empty() {
        return Ok(None);
    }
    let (mut times, mut runs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut tools = Tools::open(state, &targets)?;
    for (number, target) in (0_u32..).zip(&targets) {
        times.push(
            latency::create(state, channel, target, sleeper(format!("docker-{number}")), number).await?,
        );
        let (alone, floor) = tools.of(&target.node)?;
        runs.push(alone.run_in("none")?);
        alone.remove()?;
        bare.push(floor.add().await?.by_vsctl);
    }
    drop(tools);
    let network = intent.networks.first().context("no network to measure in")?;
    let at_once = at_once(state, channel, network).await?;
    let reply = Percentiles::of(times.iter().map(|times| times.reply).collect());
    let docker_run = Percentiles::of(runs);
    Ok(Some(DockerTimes {
        create_to_reply: reply,
        ready: Percentiles::of(times.iter().map(|times| times.ready).collect()),
        docker_run,
        above_docker_run: reply.above(docker_run),
        bare_add_port: Percentiles::of(bare),
        creates: times.len(),
        at_once,
    }))
}

/// What is measured beside Weir, on each node.
struct Tools(BTreeMap<String, (Plain, Floor)>);

impl Tools {
    fn open(state: &State, targets: &[Target<'_>]) -> anyhow::Result<Tools> {
        let nodes: BTreeSet<&String> = targets.iter().map(|target| &target.node).collect();
        let open = |node: &String| Ok((node.clone(), (Plain::on(state, node)?, Floor::open(state, node)?)));
        Ok(Tools(nodes.into_iter().map(open).collect::<anyhow::Result<_>>()?))
    }

    fn of(&mut self, node: &str) -> anyhow::Result<&mut (Plain, Floor)> {
        self.0.get_mut(node).with_context(|| format!("nothing is measured on {node}"))
    }
}

/// First by Weir, then by Docker alone.
async fn at_once(state: &State, channel: &Channel, network: &v1::Network) -> anyhow::Result<AtOnce> {
    let nodes: Vec<&str> = state.with_docker().map(|machine| machine.name.as_str()).collect();
    eprintln!("measuring {} containers at once", nodes.len() * EACH);
    let each = |number| nodes.iter().map(move |node| (format!("once-{node}-{number}"), (*node).to_owned()));
    let wanted = (0..EACH).flat_map(each).map(|(name, node)| v1::Container {
        pool: network.pool.clone(),
        network: network.name.clone(),
        node,
        ..sleeper(name)
    });
    let wanted: Vec<v1::Container> = wanted.collect();
    let containers = wanted.len();
    let client = ContainersClient::new(channel.clone());
    let (creator, start) = (client.clone(), Instant::now());
    let created = try_join_all(wanted.iter().map(async |container| {
        let request = v1::CreateContainerRequest { container: Some(container.clone()), wait: true };
        creator.clone().create_container(request).await
    }));
    let created = timeout(PATIENCE, created).await;
    let ready = start.elapsed();
    created.context("not all are ready in time")??;
    try_join_all(wanted.into_iter().map(async |container| {
        let v1::Container { pool, name, .. } = container;
        client.clone().delete_container(v1::DeleteContainerRequest { pool, name, wait: true }).await
    }))
    .await?;
    Ok(AtOnce {
        containers,
        nodes: nodes.len(),
        ready: milliseconds(ready),
        docker_run: milliseconds(alone_at_once(state, &nodes)?),
    })
}

fn alone_at_once(state: &State, nodes: &[&str]) -> anyhow::Result<Duration> {
    let alone = nodes.iter().map(|node| Plain::on(state, node)).collect::<anyhow::Result<Vec<_>>>();
    let mut alone = alone?;
    let start = Instant::now();
    let mut started = Vec::new();
    for _ in 0..EACH {
        for node in &mut alone {
            let mut command = node.command_in("none");
            started.push(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        }
    }
    // All are waited for before one that failed is told of.
    let ended: Vec<_> = started.into_iter().map(|child| child.wait_with_output()).collect();
    let elapsed = start.elapsed();
    for output in ended {
        let output = output.context("cannot wait for docker")?;
        if !output.status.success() {
            bail!("docker run failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(elapsed)
}

/// A container that only sleeps; it needs no time to end well.
fn sleeper(name: String) -> v1::Container {
    v1::Container {
        name,
        runtime: "docker".to_owned(),
        image: plain::IMAGE.to_owned(),
        command: plain::COMMAND.map(str::to_owned).to_vec(),
        stop_timeout_s: Some(0),
        ..v1::Container::default()
    }
}

/// How many each node gets at once.
const EACH: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);
