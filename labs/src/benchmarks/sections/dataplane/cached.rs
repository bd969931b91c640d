//! How many flows the datapath keeps for many pairs.

use std::time::Duration;

use anyhow::ensure;
use tools::bench::fill;
use weir_api::v1;

use crate::benchmarks::seat::ping_cold;
use crate::benchmarks::world::{NETWORK, World, container};

/// Endpoints on one node, each of which talks to all of those on another; as many in a second network.
pub(super) const SENDERS: usize = 20;
pub(super) const PEERS: usize = 50;
const SECOND: &str = "beside";
/// Quick, so that none of the flows is forgotten before they are counted.
const PACE: Duration = Duration::from_millis(1);

/// What the datapath of the senders' node keeps when each pair has exchanged a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    /// For IPv4 from senders.
    pub(super) from_senders: usize,
    /// For other IPv4: what comes back.
    pub(super) back: usize,
    pub(super) pairs: usize,
}

/// Both networks have the same addresses.
pub(super) async fn count(driver: &str) -> anyhow::Result<Cached> {
    let world = World::up_with(driver, false).await?;
    // Two VLAN networks of one pool may not have the same addresses.
    world.add_network(SECOND, "vxlan").await?;
    let ends = [(&world.nodes[0], SENDERS), (&world.nodes[1], PEERS)];
    let mut pairs = 0;
    for network in [NETWORK, SECOND] {
        let new = ends.iter().flat_map(|(node, count)| {
            (0..*count).map(move |number| v1::Container {
                name: format!("{network}-{node}-{number}"),
                network: network.to_owned(),
                node: (*node).clone(),
                ..container()
            })
        });
        fill(&world.channel, new).await?;
    }
    for network in [NETWORK, SECOND] {
        let seats = world.seats_of(network).await?;
        let on = |node: &str| {
            let here = seats.iter().enumerate().filter(|(_, seat)| seat.node == node);
            here.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let (senders, peers) = (on(ends[0].0), on(ends[1].0));
        let all: Vec<_> = senders.iter().flat_map(|from| peers.iter().map(move |to| (*from, *to))).collect();
        pairs += all.len();
        let cold = ping_cold(&seats, &all, PACE).await?;
        ensure!(cold.lost == 0, "{} of {} pings were lost", cold.lost, all.len());
    }
    let flows = world.lab.node(ends[0].0)?.appctl(["dpctl/dump-flows", "--names"])?;
    let is_endpoints = |line: &&str| line.contains("in_port(we");
    let ip = || flows.lines().filter(|line| line.contains("eth_type(0x0800)"));
    let from_senders = ip().filter(is_endpoints).count();
    Ok(Cached { from_senders, back: ip().count() - from_senders, pairs })
}
