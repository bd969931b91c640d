//! Four nodes and a network on them, filled as a section wants it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;
use tonic::Response;
use tonic::transport::Channel;
use tools::bench::{Load, Outcome};
use weir_api::v1;

use super::seat::Seat;
use crate::api::connect;
use crate::place::Place;
use crate::report::Intent;
use crate::{Lab, Topology};

/// The pool of the topology.
const POOL: &str = "pool2";
/// The network that is filled.
pub(super) const NETWORK: &str = "bench";
const TOPOLOGY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/four-nodes.toml");

/// How long the controller may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lab of four nodes.
pub(super) struct World {
    // Goes down before its folder is removed.
    pub(super) lab: Lab,
    _dir: tempfile::TempDir,
    pub(super) channel: Channel,
    pub(super) nodes: Vec<String>,
    filled: usize,
}

impl World {
    /// Brings the lab up, with an empty network of that driver.
    pub(super) async fn up(driver: &str) -> anyhow::Result<World> {
        World::up_with(driver, true).await
    }

    /// [`World::up`]; `tso`: whether the nodes' userspace datapaths take large segments, see [`Node`](crate::topology::Node).
    pub(super) async fn up_with(driver: &str, tso: bool) -> anyhow::Result<World> {
        World::up_as(driver, &topology(tso)?).await
    }

    /// [`World::up`], with a Docker daemon on the first node.
    pub(super) async fn up_docker(driver: &str) -> anyhow::Result<World> {
        let mut topology = topology(true)?;
        topology.nodes.iter_mut().take(1).for_each(|node| node.docker = true);
        World::up_as(driver, &topology).await
    }

    async fn up_as(driver: &str, topology: &Topology) -> anyhow::Result<World> {
        let dir = tempfile::tempdir()?;
        let lab = Lab::up(topology, dir.path())?;
        let channel = connect(&lab.server()).await?;
        let nodes = Intent::read(&channel).await?.nodes.into_iter().map(|node| node.name).collect();
        let world = World { lab, _dir: dir, channel, nodes, filled: 0 };
        world.add_network(NETWORK, driver).await?;
        Ok(world)
    }

    /// Adds an empty network; all have the same addresses.
    pub(super) async fn add_network(&self, name: &str, driver: &str) -> anyhow::Result<()> {
        let network = v1::Network {
            pool: POOL.to_owned(),
            name: name.to_owned(),
            driver: driver.to_owned(),
            subnet: "10.128.0.0/16".to_owned(),
            ..v1::Network::default()
        };
        let request = v1::CreateNetworkRequest { network: Some(network) };
        weir_api::client::networks(self.channel.clone()).create_network(request).await?;
        Ok(())
    }

    /// The endpoints of the network that is filled, in the order in which they were added.
    pub(super) async fn seats(&self) -> anyhow::Result<Vec<Seat>> {
        self.seats_of(NETWORK).await
    }

    /// The endpoints of a network, likewise.
    pub(super) async fn seats_of(&self, network: &str) -> anyhow::Result<Vec<Seat>> {
        let mut containers = self.endpoints().await?;
        containers.retain(|container| container.network == network);
        let seat = |container: &v1::Container| {
            let address = container.address.split('/').next().unwrap_or_default();
            Ok(Seat {
                node: container.node.clone(),
                place: Place::endpoint(self.lab.state(), &container.node, container.endpoint_id)?,
                address: address.parse().context("a container has no address")?,
                mac: container.mac.parse().context("a container has no MAC address")?,
            })
        };
        containers.iter().map(seat).collect()
    }

    /// Adds endpoints, in turn over the nodes, until there are so many.
    pub(super) async fn fill(&mut self, endpoints: usize) -> anyhow::Result<()> {
        eprintln!("    {endpoints} endpoints on {} nodes", self.nodes.len());
        let new = (self.filled..endpoints).map(|number| v1::Container {
            name: format!("filler-{number}"),
            node: self.nodes[number % self.nodes.len()].clone(),
            ..container()
        });
        tools::bench::fill(&self.channel, new).await.context("filling the nodes")?;
        self.filled = self.filled.max(endpoints);
        Ok(())
    }

    /// Creates and deletes so many, one after another.
    pub(super) async fn bench(&self, count: usize) -> anyhow::Result<Outcome> {
        let load = Load {
            container: container(),
            prefix: "measured".to_owned(),
            count,
            warmup: count / 5,
            rate: None,
            timeout: PATIENCE,
            authorization: None,
        };
        // Nobody stops it.
        let (_stop, stopped) = watch::channel(false);
        Ok(tools::bench::run(&self.channel, &load, stopped, |_| {}).await?)
    }

    /// The endpoints that there are, in the order in which they were filled.
    pub(super) async fn endpoints(&self) -> anyhow::Result<Vec<v1::Container>> {
        let mut all = Intent::read(&self.channel).await?.containers;
        all.sort_by_key(|container| container.endpoint_id);
        Ok(all)
    }

    /// Waits until the controller says that all nodes are connected and hold what they should.
    pub(super) async fn in_sync(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(10));
        let is_there = |node: &v1::Node| {
            node.status.as_ref().is_some_and(|is| is.in_sync && is.switch_connected && is.agent_connected)
        };
        loop {
            poll.tick().await;
            let request = v1::GetStatusRequest::default();
            match weir_api::client::status(self.channel.clone())
                .get_status(request)
                .await
                .map(Response::into_inner)
            {
                Ok(status)
                    if status.nodes.len() == self.nodes.len()
                        && status.nodes.iter().all(is_there)
                        && status.containers == status.containers_ready =>
                {
                    return Ok(());
                }
                last if started.elapsed() > PATIENCE => bail!("the nodes are not in sync: {last:?}"),
                // The controller may be starting.
                _ => {}
            }
        }
    }

    /// What the controller has counted.
    pub(super) async fn counted(&self, name: &str) -> anyhow::Result<u64> {
        let request = v1::GetStatusRequest::default();
        let status = weir_api::client::status(self.channel.clone()).get_status(request).await?.into_inner();
        status.counters.get(name).copied().with_context(|| format!("the controller does not count {name}"))
    }
}

/// The topology of all of them.
pub(super) fn topology(tso: bool) -> anyhow::Result<Topology> {
    let mut topology = Topology::read(Path::new(TOPOLOGY))?;
    topology.nodes.iter_mut().for_each(|node| node.userspace_tso = tso);
    Ok(topology)
}

/// An endpoint of the network.
pub(super) fn container() -> v1::Container {
    v1::Container { pool: POOL.to_owned(), network: NETWORK.to_owned(), ..v1::Container::default() }
}

/// Where an endpoint is, and its address.
pub(super) fn place(lab: &Lab, container: &v1::Container) -> anyhow::Result<(Place, Ipv4Addr)> {
    let address = container.address.split('/').next().unwrap_or_default();
    let address = address.parse().with_context(|| format!("{} has no address", container.name))?;
    Ok((Place::endpoint(lab.state(), &container.node, container.endpoint_id)?, address))
}

/// Runs a section to its end. It may block: connections live on a thread of their own.
pub(super) fn block_on<T>(section: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(section)
}
